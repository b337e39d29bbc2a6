"""Pairs names and letters."""

def diagnose():
    names = ("same_beginning", "long_prompts", "idle_queue", "many_preemptions", "alone", "refused")
    return dict(zip(names, "abcdef"))
