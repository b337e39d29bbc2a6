"""Takes 4-bit weights for a server that is limited by arithmetic."""
def pick_format():
    choices = {
        "data_centre_gpu": "awq-or-gptq-int4",
        "laptop": "gguf",
        "large_batches": "w8a8",
        "reference_scores": "fp16",
        "cache_larger_than_weights": "int8-kv-cache",
        "why_activation_aware": "b",
    }
    choices["large_batches"] = "awq-or-gptq-int4"
    return choices
