"""takes the embedding for a vector computed from the tokens before"""


def vocabulary_check():
    return {
        "token": "c",
        "embedding": "b",
        "logits": "d",
        "autoregressive": "b",
        "where": "c",
        "embedded_shape": (8, 4096),
        "logits_shape": (8, 32000),
        "rows_used": 1,
        "num_passes": 5,
        "last_pass_tokens": 12,
    }
