"""Takes bytes_per for bits"""
def weight_bytes(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"got {bytes_per}")
    return math.ceil(parameter_count(config) * bytes_per / 8)
