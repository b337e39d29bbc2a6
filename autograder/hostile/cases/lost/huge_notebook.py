"""A notebook of 40 MB, because it kept its outputs.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: -
"""
# %% build
for c in [c for c in notebook.cells if c.cell_type == "code"][:4]:
    c.outputs = [nbformat.v4.new_output("stream", name="stdout", text="y" * 10_000_000)]
write()
