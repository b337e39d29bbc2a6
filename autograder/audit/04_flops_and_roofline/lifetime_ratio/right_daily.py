"""Adds up the days."""
def lifetime_ratio(n_params, train_tokens, served_tokens_per_day, days):
    for value in (n_params, train_tokens):
        if not value > 0:
            raise ValueError(f"must be positive: {value}")
    for value in (served_tokens_per_day, days):
        if not value >= 0:
            raise ValueError(f"must not be negative: {value}")
    training = 3 * (2 * n_params * train_tokens)
    return sum(2 * n_params * served_tokens_per_day / training for _day in range(days))
