"""Edits the set-up and the lead-ins by accident.

answers: kv_bytes_per_token attention_with_cache
score: kv_bytes_per_token=3 attention_with_cache=6
note: -
"""
# %% build
cell("setup").source = "imprt numpy as np  # oops"
cell("task_kv_bytes_per_token").source = "my notes"
cell("task_attention_with_cache").source = ""
write()
