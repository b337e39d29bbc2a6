"""Writes its helper into the given cell for trying, above the tests of a later exercise.

answers: kv_cache_bytes
score: tokens_processed=3 kv_cache_bytes=3
note: -
"""
# %% tokens_processed
def tokens_processed(prompt, new, cached):
    refuse(prompt, 1)
    refuse(new, 0)
    if not new:
        return 0
    return prompt + new - 1 if cached else sum(range(prompt, prompt + new))
# %% build
for c in notebook.cells:
    if c.cell_type == "code" and c.source.startswith("for tokens in (1_000,"):
        c.source = "def refuse(value, least):\n    if value < least:\n        raise ValueError(f'{value} is below {least}')\n\n" + c.source
write()
