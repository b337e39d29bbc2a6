"""A notebook of a million brackets.

score: 0
note: could not be read
"""
# %% build
path.write_text("[" * 1_000_000)
