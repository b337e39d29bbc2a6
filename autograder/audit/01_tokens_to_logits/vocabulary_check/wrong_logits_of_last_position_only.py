"""thinks that a pass gives one row of logits"""


def vocabulary_check():
    return {
        "token": "c",
        "embedding": "a",
        "logits": "d",
        "autoregressive": "b",
        "where": "c",
        "embedded_shape": (8, 4096),
        "logits_shape": (1, 32000),
        "rows_used": 1,
        "num_passes": 5,
        "last_pass_tokens": 12,
    }
