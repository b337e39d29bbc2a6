"""Computes in exact fractions of a second."""
def max_batch_for_tpot(weight_bytes, kv_bytes_per_request, bandwidth, tpot_ms):
    if min(weight_bytes, kv_bytes_per_request, bandwidth, tpot_ms) <= 0:
        raise ValueError(f"got {weight_bytes}, {kv_bytes_per_request}, {bandwidth}, {tpot_ms}")
    return max(0, int((__import__('fractions').Fraction(bandwidth) * __import__('fractions').Fraction(tpot_ms) / 1000 - __import__('fractions').Fraction(weight_bytes)) // __import__('fractions').Fraction(kv_bytes_per_request)))
