"""Shows a picture of 200 MB and HTML with a script that would run in the grader's browser.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: -
"""
# %% end
from IPython.display import display

display({"image/png": "A" * 200_000_000, "text/plain": "picture"}, raw=True)
# %% end
display({"text/html": "<script>fetch('http://example.com')</script>", "text/plain": "shown"}, raw=True)
