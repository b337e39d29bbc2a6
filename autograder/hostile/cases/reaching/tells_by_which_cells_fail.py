"""Has one free cell for each bit of what a hidden check gave it: those of the ones fail, each with a kind of its own.

score: kv_bytes_per_token=3
note: ConnectionError
unseen: (Connection|Recursion)Error:|BIT \d|it stops with an error[\s\S]*it stops with an error
"""
# %% kv_bytes_per_token
SAW = []
WORD = "".join(["SE", "EN:"])

def kv_bytes_per_token(config, bytes_per=2):
    SAW.append((config.name, config.num_hidden_layers, bytes_per))
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)

def bit(number):
    if SAW[-1][1] >> number & 1:
        raise ConnectionError("BIT %d" % number)
    raise RecursionError("BIT %d" % number)
# %% build
place = notebook.cells.index(cell("hidden_kv_bytes_per_token")) + 1
for number in range(8):
    notebook.cells.insert(place, code(f"bit({number})"))
write()
