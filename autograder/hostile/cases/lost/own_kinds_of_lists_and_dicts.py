"""Answers right with an ordered dict, a named tuple's list, a deque and classes of its own below the plain ones.

answers: generate
score: kv_bytes_per_token=3 generate=6 latency_by_length=3
note: -
"""
# %% kv_bytes_per_token
class Bytes(int):
    def pretty(self):
        return f"{self / 1024} KiB"

def kv_bytes_per_token(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return Bytes(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)
# %% latency_by_length
from collections import OrderedDict

class Times(list):
    pass

def latency_by_length(model, lengths=(10, 50, 100, 500, 1000), new_tokens=8, repeats=3):
    for count in (*lengths, new_tokens, repeats):
        if count < 1:
            raise ValueError(f"got {count}")
    result = OrderedDict([("without_cache_s", Times()), ("with_cache_s", Times()), ("lengths", Times(lengths))])
    result.move_to_end("lengths", last=False)
    for length in lengths:
        prompt = np.random.randint(0, model.config.vocab_size, length).tolist()
        for key in ("without_cache_s", "with_cache_s"):
            taken = []
            for _ in range(repeats + 1):
                start = time.perf_counter()
                generate(model, prompt, new_tokens, key == "with_cache_s")
                taken.append(time.perf_counter() - start)
            result[key].append(float(np.median(taken[1:])))
    return result
