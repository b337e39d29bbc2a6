"""Believes that weight-only methods round the activations."""
def pick_format():
    choices = {
        "data_centre_gpu": "awq-or-gptq-int4",
        "laptop": "gguf",
        "large_batches": "w8a8",
        "reference_scores": "fp16",
        "cache_larger_than_weights": "int8-kv-cache",
        "why_activation_aware": "b",
    }
    choices["why_activation_aware"] = "c"
    return choices
