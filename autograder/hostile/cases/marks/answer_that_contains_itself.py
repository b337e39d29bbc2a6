"""Returns a list that contains itself, and a dict that does.

score: kv_cache_bytes=3
answers: kv_cache_bytes
note: test_kv_bytes_per_token: (?!$).{10}
"""
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    answer = []
    answer.append(answer)
    return answer
# %% latency_by_length
def latency_by_length(model, lengths=(10, 50, 100, 500, 1000), new_tokens=8, repeats=3):
    answer = {}
    answer["lengths"] = answer["with_cache_s"] = answer["without_cache_s"] = answer
    return answer
