"""Counts a tied LM head a second time"""
def weight_bytes(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"got {bytes_per}")
    tied = config.vocab_size * config.hidden_size if config.tie_word_embeddings else 0
    return math.ceil((parameter_count(config) + tied) * bytes_per)
