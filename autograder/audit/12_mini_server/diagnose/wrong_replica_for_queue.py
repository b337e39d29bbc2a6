"""Adds a machine where a setting keeps the queue waiting."""
def diagnose():
    """The first thing to change on each of the six servers: a dict of six letters "a" to "f"."""
    return {
        "idle_queue": "f",
        "same_beginning": "a",
        "long_prompts": "b",
        "many_preemptions": "d",
        "alone": "e",
        "refused": "c",
    }
