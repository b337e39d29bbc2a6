"""Fetches a page and sends its answers away, by https and by the proxy of the environment.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: refused: web
"""
# %%
import os
import urllib.request

print("proxies", [name for name in os.environ if "proxy" in name.lower()])
for address in ("https://pypi.org/simple/", "http://example.com/?answers=1", f"http://127.0.0.1:{HOST_TCP}/"):
    try:
        urllib.request.urlopen(address, timeout=1).read(100)
        print("REACHED", address)
    except Exception as error:
        print("refused: web", type(error).__name__)
