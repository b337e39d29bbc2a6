"""Shows a number as the result of the test cell, which nbgrader takes for partial credit, and hides the error.

score: 0
note: test_kv_bytes_per_token: .*524288
"""
# %% kv_bytes_per_token
import sys

shell = get_ipython()
shell.showtraceback = lambda *arguments, **options: None

def kv_bytes_per_token(config, bytes_per=2):
    sys.displayhook(3)
    return 7
