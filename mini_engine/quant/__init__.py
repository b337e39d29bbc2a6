"""Fewer bits: rounding in NumPy (arrays), layers and caches in torch (modules), AWQ and GPTQ (calibration)."""
