"""Swaps the 2 and the 6"""
def lifetime_ratio(n_params, train_tokens, served_tokens_per_day, days):
    if n_params <= 0 or train_tokens <= 0 or served_tokens_per_day < 0 or days < 0:
        raise ValueError(f"got {n_params}, {train_tokens}, {served_tokens_per_day}, {days}")
    return 3 * served_tokens_per_day * days / train_tokens
