"""A notebook of 60 MB, because it kept its outputs.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: -
"""
# %% build
for c in notebook.cells[:20]:
    if c.cell_type == "code":
        c.outputs = [nbformat.v4.new_output("stream", name="stdout", text="y" * 10_000_000)]
write()
