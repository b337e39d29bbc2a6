"""A generator of names, made unique at the end."""
def broken_rules(step, limits):
    def names():
        left, seen = limits["token_budget"], set()
        for i, seq in enumerate(step["sequences"]):
            if i >= limits["max_num_seqs"]:
                yield "places"
            row = [r for r in step["rows"] if r[0] == seq["id"]]
            if not row and seq["tokens"] - seq["computed"] == 1:
                yield "decode"
            for block in seq["blocks"]:
                if block in seen or block < 0 or block >= limits["num_blocks"]:
                    yield "owners"
                seen.add(block)
            for _, start, count in row:
                left -= count
                if start != seq["computed"]:
                    yield "start"
                if count <= 0 or start + count > seq["tokens"]:
                    yield "length"
                if -(-(start + count) // limits["block_size"]) > len(seq["blocks"]):
                    yield "memory"
        if left < 0:
            yield "budget"

    return sorted(set(names()))
