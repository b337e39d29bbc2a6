"""Keys and values side by side."""
def pick_format():
    keys = "data_centre_gpu laptop large_batches reference_scores cache_larger_than_weights why_activation_aware".split()
    return dict(zip(keys, ["awq-or-gptq-int4", "gguf", "w8a8", "fp16", "int8-kv-cache", "b"]))
