"""Loops over the numbers with Python's round, which is half to even too."""
def quantize_absmax(w, bits=8):
    if bits not in (2, 3, 4, 5, 6, 7, 8):
        raise ValueError("cannot use " + str(bits) + " bits")
    largest = max(abs(float(v)) for v in w.flat)
    scale = largest / (2 ** (bits - 1) - 1) if largest else 0.125
    q = np.zeros(w.shape, np.int8)
    for at, v in np.ndenumerate(w):
        q[at] = round(float(v) / scale)
    return q, scale
