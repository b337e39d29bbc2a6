"""A loop that remembers the best."""
def best_draft_length(alpha, c, k_max):
    if k_max < 1:
        raise ValueError(f"cannot draft at most {k_max} tokens")
    best = 1
    for k in range(2, k_max + 1):
        if expected_speedup(alpha, k, c) > expected_speedup(alpha, best, c):
            best = k
    return best
