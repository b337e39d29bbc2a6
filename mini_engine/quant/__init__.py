"""Fewer bits: rounding in NumPy (arrays), layers in torch (modules), int8 caches, AWQ and GPTQ (calibration)."""
