"""A small inference engine for LLaMA-shaped models, written to be read."""

import os

# OpenMP's threads wait for more work by turning in a loop, by default for milliseconds. So the waiting ones keep the
# working ones out, where others use the machine too and because torch and Numba have a pool of threads each, and a step
# can take 20 times as long. 20,000 turns are some 0.2 ms. Read when torch and when Numba load OpenMP.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
