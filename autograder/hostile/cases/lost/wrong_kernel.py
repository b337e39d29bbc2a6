"""Names a kernel that this machine does not have, in another language.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% build
notebook.metadata["kernelspec"] = {"name": "my-conda-env", "display_name": "R", "language": "R"}
notebook.metadata["language_info"] = {"name": "R", "version": "4", "mimetype": "text/x-r"}
write()
