"""Never finds anything."""
def broken_rules(step, limits):
    """Names of the rules that a step breaks, sorted; [] when it is sound.

    step: {"sequences": [{"id", "tokens", "computed", "blocks"}], "rows": [[id, start, num_new]]}.
    limits: {"max_num_seqs", "token_budget", "num_blocks", "block_size"}.
    """
    sequences = {seq["id"]: seq for seq in step["sequences"]}
    rows = {name: (start, num_new) for name, start, num_new in step["rows"]}
    blocks = [block for seq in sequences.values() for block in seq["blocks"]]
    broken = set()
    if sum(num_new for _, num_new in rows.values()) > limits["token_budget"]:
        broken.add("budget")
    if any(seq["tokens"] - seq["computed"] == 1 and name not in rows for name, seq in sequences.items()):
        broken.add("decode")
    if len(set(blocks)) < len(blocks) or not set(blocks) <= set(range(limits["num_blocks"])):
        broken.add("owners")
    if len(sequences) > limits["max_num_seqs"]:
        broken.add("places")
    for name, (start, num_new) in rows.items():
        seq = sequences[name]
        if num_new < 1 or start + num_new > seq["tokens"]:
            broken.add("length")
        if start + num_new > len(seq["blocks"]) * limits["block_size"]:
            broken.add("memory")
        if start != seq["computed"]:
            broken.add("start")
    return []
