"""Returns the parameters, not their bytes"""
def weight_bytes(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"got {bytes_per}")
    return parameter_count(config)
