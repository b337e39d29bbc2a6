"""Builds the dictionary entry by entry."""

def diagnose():
    answer = {"refused": "f", "alone": "e"}
    answer["many_preemptions"] = "d"
    answer.update(long_prompts="b", same_beginning="a", idle_queue="c")
    return answer
