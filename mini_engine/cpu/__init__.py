"""The decode step compiled for the processor at hand, in Numba."""
