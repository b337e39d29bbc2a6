"""Raises max_num_seqs where blocks run out, and limits admission where blocks are free."""
def diagnose():
    """The first thing to change on each of the six servers: a dict of six letters "a" to "f"."""
    return {
        "idle_queue": "d",
        "same_beginning": "a",
        "long_prompts": "b",
        "many_preemptions": "c",
        "alone": "e",
        "refused": "f",
    }
