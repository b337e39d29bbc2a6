"""Kept every try: 450 free cells before its last answers.

answers: kv_bytes_per_token latency_by_length generate
score: kv_bytes_per_token=3 generate=6 latency_by_length=3
note: -
"""
# %% build
place = notebook.cells.index(cell("kv_bytes_per_token"))
notebook.cells[place:place] = [code(f"tried_{number} = {number}") for number in range(450)]
write()
