"""Fewer bits: rounding in NumPy (arrays, fp4), layers in torch (modules), caches (caches, pages), AWQ and GPTQ."""
