"""The decode step as WGSL kernels, for any vendor's GPU; the pages of the book run the same .wgsl files."""
