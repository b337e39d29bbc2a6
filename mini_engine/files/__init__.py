"""Model files: fetching the real one, reading GGUF and safetensors."""
