"""Forgets the forward pass of training: 4N a token"""
def lifetime_ratio(n_params, train_tokens, served_tokens_per_day, days):
    if n_params <= 0 or train_tokens <= 0 or served_tokens_per_day < 0 or days < 0:
        raise ValueError(f"got {n_params}, {train_tokens}, {served_tokens_per_day}, {days}")
    return 2 * served_tokens_per_day * days / (4 * train_tokens)
