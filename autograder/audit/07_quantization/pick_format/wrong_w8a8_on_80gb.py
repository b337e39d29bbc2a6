"""Puts 70 GB of 8-bit weights on an 80 GB GPU and leaves no room for the cache."""
def pick_format():
    choices = {
        "data_centre_gpu": "awq-or-gptq-int4",
        "laptop": "gguf",
        "large_batches": "w8a8",
        "reference_scores": "fp16",
        "cache_larger_than_weights": "int8-kv-cache",
        "why_activation_aware": "b",
    }
    choices["data_centre_gpu"] = "w8a8"
    return choices
