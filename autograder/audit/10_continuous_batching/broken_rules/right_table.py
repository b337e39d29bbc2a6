"""A dict from rule to truth, in the order of the alphabet."""
def broken_rules(step, limits):
    by_id = {s["id"]: s for s in step["sequences"]}
    used = [b for s in step["sequences"] for b in s["blocks"]]
    rows = [(by_id[name], start, start + n) for name, start, n in step["rows"]]
    fed = [name for name, _, _ in step["rows"]]
    ok = {
        "budget": sum(end - start for _, start, end in rows) <= limits["token_budget"],
        "decode": all(s["id"] in fed for s in step["sequences"] if s["computed"] == s["tokens"] - 1),
        "length": all(start < end <= s["tokens"] for s, start, end in rows),
        "memory": all(end <= len(s["blocks"]) * limits["block_size"] for s, _, end in rows),
        "owners": all(used.count(b) == 1 and 0 <= b < limits["num_blocks"] for b in used),
        "places": len(by_id) <= limits["max_num_seqs"],
        "start": all(start == s["computed"] for s, start, _ in rows),
    }
    return [name for name, holds in ok.items() if not holds]
