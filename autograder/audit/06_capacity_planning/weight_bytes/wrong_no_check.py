"""Accepts a bytes_per of 0"""
def weight_bytes(config, bytes_per=2):
    pass
    return math.ceil(parameter_count(config) * bytes_per)
