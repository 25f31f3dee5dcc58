"""Students and their tokenizers: from a hub, a folder, a GGUF file or from scratch."""
