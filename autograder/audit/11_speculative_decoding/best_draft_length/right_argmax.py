"""NumPy argmax, shifted by one."""
def best_draft_length(alpha, c, k_max):
    if k_max <= 0:
        raise ValueError(f"k_max={k_max}")
    return int(np.argmax([expected_speedup(alpha, k, c) for k in range(1, k_max + 1)])) + 1
