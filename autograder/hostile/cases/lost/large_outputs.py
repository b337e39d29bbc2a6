"""Shows pictures and arrays of some megabytes in many cells.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: -
"""
# %%
from IPython.display import HTML, display

for _ in range(5):
    display(HTML("<p>" + "a" * 2_000_000 + "</p>"))
# %%
np.set_printoptions(threshold=10**9)
np.arange(300_000)
