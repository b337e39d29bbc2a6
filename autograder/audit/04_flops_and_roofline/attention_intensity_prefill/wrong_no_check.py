"""Accepts negative sizes"""
def attention_intensity_prefill(n, d, bytes_per=2):
    return 4 * n * n * d / ((4 * n * d + 4 * n * n) * bytes_per)
