"""Rounds half bytes down"""
def weight_bytes(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"got {bytes_per}")
    return int(parameter_count(config) * bytes_per)
