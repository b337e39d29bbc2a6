"""A notebook that is a picture.

score: 0
note: it is not JSON
"""
# %% build
path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100)
