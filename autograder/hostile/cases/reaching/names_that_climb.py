"""Hands in files whose names climb out of the folder or carry control characters.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: -
"""
# %% build
for name in ("..%2f..%2fetc%2fpasswd", "-rf", "$(touch x)", "a\nb", "\x1b[31mred", "x" * 200, "..notebook.."):
    (folder / name).write_text("x")
deep = folder
for _ in range(40):
    deep = deep / "deep"
deep.mkdir(parents=True)
