"""Accepts a batch of 0 and negative sizes"""
def linear_intensity(batch, d_in, d_out, bytes_per=2):
    pass
    return 2 * batch * d_in * d_out / ((batch * d_in + d_in * d_out + batch * d_out) * bytes_per)
