"""Expects speculation to help long prompts and chunks to help a single user."""
def diagnose():
    """The first thing to change on each of the six servers: a dict of six letters "a" to "f"."""
    return {
        "idle_queue": "c",
        "same_beginning": "a",
        "long_prompts": "e",
        "many_preemptions": "d",
        "alone": "b",
        "refused": "f",
    }
