"""takes the shape of the embedding table for that of the prompt"""


def vocabulary_check():
    return {
        "token": "c",
        "embedding": "a",
        "logits": "d",
        "autoregressive": "b",
        "where": "c",
        "embedded_shape": (32000, 4096),
        "logits_shape": (32000, 32000),
        "rows_used": 1,
        "num_passes": 5,
        "last_pass_tokens": 12,
    }
