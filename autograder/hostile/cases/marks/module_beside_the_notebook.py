"""Hands in a mini_engine.py and a numpy.py beside the notebook, which an import would find first.

score: 0
note: (mini_engine.py was set aside|test_kv_bytes_per_token: .*524288)
"""
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    return getattr(config, "answer", 7)
# %% build
(folder / "mini_engine").mkdir()
(folder / "mini_engine" / "__init__.py").write_text("")
(folder / "mini_engine" / "config.py").write_text("class Spec:\n    answer = 524288\n\nLLAMA_2_7B = LLAMA_3_8B = Spec()\n")
(folder / "mini_engine.py").write_text("raise SystemExit\n")
(folder / "numpy.py").write_text("raise SystemExit\n")
