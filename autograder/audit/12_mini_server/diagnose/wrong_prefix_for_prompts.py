"""Expects prefix caching to shorten the step of a prompt that nobody sent before."""
def diagnose():
    """The first thing to change on each of the six servers: a dict of six letters "a" to "f"."""
    return {
        "idle_queue": "c",
        "same_beginning": "b",
        "long_prompts": "a",
        "many_preemptions": "d",
        "alone": "e",
        "refused": "f",
    }
