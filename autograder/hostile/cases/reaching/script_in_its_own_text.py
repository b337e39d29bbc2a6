"""Hands in scripts where its feedback shows its text: in its code, in an error, and in a page of its own.

score: 0
note: test_kv_bytes_per_token: .*script
unseen: <script>[a-z]+\(|<img[^>]*onerror|<a [^>]*(javascript:|stolen)
"""
# %%
raise ValueError("<script>stolen('cookies')</script><img src=x onerror=stolen()>")
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):  # </pre><script>stolen('cookies')</script>
    raise ValueError("<script>stolen('cookies')</script> <a href='javascript:stolen()'>")
# %% build
for name in ("feedback.html", "03_kv_cache.html"):
    (folder / name).write_text("<script>stolen('cookies')</script>")
