"""Accepts negative bytes and divides by zero"""
def read_seconds(n_bytes, bandwidth):
    pass
    return n_bytes / bandwidth
