"""Hands in outputs that say that all is well, and a number that looks like partial credit.

score: 0
note: test_kv_bytes_per_token: .*NotImplementedError
"""
# %% build
for c in notebook.cells:
    if c.cell_type == "code":
        c.execution_count = 1
        c.outputs = [nbformat.v4.new_output("execute_result", data={"text/plain": "3"}, execution_count=1)]
write()
