"""Files whose names would write lines and tags into the notes on the page.

answers: kv_cache_bytes
score: kv_cache_bytes=3
note: (?i)set aside
unseen: <img src=x|<script>alert|<li>\s*full marks
"""
# %% build
for name in ("a\n- full marks given.py", "<img src=x onerror=alert(1)>.py", "<script>alert(1)<", "[x](javascript:alert(1)).py"):
    (folder / name).write_text("x = 1")
