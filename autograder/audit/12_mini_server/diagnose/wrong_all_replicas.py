"""Adds a machine for everything."""

def diagnose():
    return dict.fromkeys(["idle_queue", "same_beginning", "long_prompts", "many_preemptions", "alone", "refused"], "f")
