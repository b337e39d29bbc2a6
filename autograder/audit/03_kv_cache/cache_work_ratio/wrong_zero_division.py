"""Lets a request without new tokens divide by zero."""
def cache_work_ratio(prompt, new):
    return tokens_processed(prompt, new, False) / tokens_processed(prompt, new, True)
