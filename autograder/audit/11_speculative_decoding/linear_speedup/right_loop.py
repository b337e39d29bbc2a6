"""Adds up token by token."""
def linear_speedup(k, a, c):
    for value in (k, a, c, 1 - a):
        if value < 0:
            raise ValueError(f"out of range: k={k}, a={a}, c={c}")
    tokens = cost = 1.0
    for _ in range(k):
        tokens += a
        cost += c
    return tokens / cost
