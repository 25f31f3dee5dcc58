"""Students and verifiers, trained on Ray Train with DeepSpeed."""
