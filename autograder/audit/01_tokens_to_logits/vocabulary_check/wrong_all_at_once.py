"""thinks that all new tokens are written in one pass"""


def vocabulary_check():
    return {
        "token": "c",
        "embedding": "a",
        "logits": "d",
        "autoregressive": "a",
        "where": "c",
        "embedded_shape": (8, 4096),
        "logits_shape": (8, 32000),
        "rows_used": 1,
        "num_passes": 1,
        "last_pass_tokens": 8,
    }
