"""Defaults to float32"""
def weight_bytes(config, bytes_per=4):
    if bytes_per <= 0:
        raise ValueError(f"got {bytes_per}")
    return math.ceil(parameter_count(config) * bytes_per)
