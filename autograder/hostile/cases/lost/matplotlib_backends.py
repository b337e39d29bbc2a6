"""Asks for interactive backends that this machine does not have.

answers: cache_work_ratio tokens_processed
score: cache_work_ratio=2 tokens_processed=3
note: (?i)(backend|tk|widget|ImportError|Figure)
"""
# %%
%matplotlib widget
# %%
import matplotlib

matplotlib.use("TkAgg", force=True)
import matplotlib.pyplot as plt

plt.figure()
plt.show()
