"""Admits the first and asks again for the rest."""

def admit(waiting, cached, num_free_blocks, budget, block_size):
    if not waiting:
        return []
    first, rest = waiting[0], waiting[1:]
    total = first["num_tokens"]
    hit = cached[first["id"]] if first["id"] in cached else 0
    if hit >= total:
        hit = total - 1
    new = total - hit
    blocks = math.ceil(total / block_size) - math.floor(hit / block_size)
    if new <= budget and blocks <= num_free_blocks:
        return [(first["id"], hit, new), *admit(rest, cached, num_free_blocks - blocks, budget - new, block_size)]
    return []
