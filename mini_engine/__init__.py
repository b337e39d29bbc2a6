"""A small inference engine for LLaMA-shaped models, written to be read."""
