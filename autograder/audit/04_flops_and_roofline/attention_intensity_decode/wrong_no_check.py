"""Accepts negative sizes"""
def attention_intensity_decode(n, d, bytes_per=2):
    return 4 * n * d / ((2 * n * d + 2 * d + 4 * n) * bytes_per)
