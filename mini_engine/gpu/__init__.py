"""What needs a GPU to pay off: recorded decode steps and Triton kernels. Each runs without one too."""
