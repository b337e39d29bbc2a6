"""Uses NumPy and its own checks."""
def linear_speedup(k, a, c):
    if np.any(np.array([k, a, c]) < 0) or a > 1:
        raise ValueError("bad values: " + ", ".join(map(str, (k, a, c))))
    return float(np.divide(1 + np.multiply(k, a), 1 + np.multiply(k, c)))
