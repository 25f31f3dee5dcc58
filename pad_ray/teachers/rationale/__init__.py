"""Programs from a data set's own worked solutions, without a language model."""
