"""Measures the three arrays by their shapes."""
def linear_intensity(batch, d_in, d_out, bytes_per=2):
    for value in (batch, d_in, d_out):
        if value < 1:
            raise ValueError(f"a size of {value}")
    if bytes_per <= 0:
        raise ValueError(f"{bytes_per} bytes per number")
    shapes = [(batch, d_in), (d_in, d_out), (batch, d_out)]
    flops = sum(2 * d_in for _row in range(batch) for _column in range(d_out))
    return flops / sum(bytes_per * math.prod(shape) for shape in shapes)
