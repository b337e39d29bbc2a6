"""A cell that was interrupted, in the notebook as handed in and again when it runs.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: KeyboardInterrupt
"""
# %%
raise KeyboardInterrupt
# %% build
error = nbformat.v4.new_output("error", ename="KeyboardInterrupt", evalue="", traceback=["KeyboardInterrupt"])
for c in notebook.cells:
    if c.cell_type == "code":
        c.outputs = [error]
write()
