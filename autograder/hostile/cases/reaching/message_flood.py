"""Fills the channel to the grader with a hundred thousand messages.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: (?i)(too much|dropped|too long|shown)
"""
# %% end
from IPython.display import display

for number in range(30_000):
    display(number)
# %% end
print("shown")
