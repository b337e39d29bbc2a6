"""Builds the dictionary step by step."""
def pick_format():
    choice = {}
    choice["why_activation_aware"] = "b"
    choice["reference_scores"] = "fp16"
    choice["laptop"] = "gguf"
    choice.update(large_batches="w8a8", data_centre_gpu="awq-or-gptq-int4")
    choice["cache_larger_than_weights"] = "int8-kv-cache"
    return choice
