"""Returns a float where bytes are whole"""
def weight_bytes(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"got {bytes_per}")
    return float(math.ceil(parameter_count(config) * bytes_per))
