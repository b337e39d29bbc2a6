"""What changed after LLaMA: experts, a latent cache, windows with sinks, YaRN, a state instead of a cache."""
