"""Gives the solution cell the name of the hidden test and the test the name of the solution.

score: 0
note: (missing|NotImplementedError|524288)
"""
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    return 7
# %% build
a, b = cell("kv_bytes_per_token"), cell("hidden_kv_bytes_per_token")
a.metadata.nbgrader.grade_id, b.metadata.nbgrader.grade_id = b.metadata.nbgrader.grade_id, a.metadata.nbgrader.grade_id
a.id, b.id = b.id, a.id
write()
