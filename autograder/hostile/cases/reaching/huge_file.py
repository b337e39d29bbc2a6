"""A notebook of 300 MB.

score: 0
note: too big
"""
# %% build
with open(path, "wb") as file:
    file.truncate(300 << 20)
