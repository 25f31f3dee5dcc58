"""Breaking right programs in the ways of small students."""
