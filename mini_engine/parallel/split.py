"""Who holds what: the ranges of a rank, and its part of a weights dict."""

from dataclasses import replace


def share(total, rank, size):
    """The range of `total` things that a rank of `size` holds: together all, in order, sizes at most one apart."""
    return range(total * rank // size, total * (rank + 1) // size)


def heads_of(config, rank, size):
    """(query heads, KV heads) of a rank, two ranges.

    Up to as many ranks as KV heads: each rank has KV heads of its own with all their query heads. With more ranks,
    `size / KV heads` ranks keep a copy of the same KV head and share its query heads. Raises ValueError for a size
    that allows neither.
    """
    kv_heads = config.num_key_value_heads
    group = config.num_attention_heads // kv_heads
    if size <= kv_heads:
        kept = share(kv_heads, rank, size)
        return range(kept.start * group, kept.stop * group), kept
    copies = size // kv_heads
    if size % kv_heads or copies > group:
        raise ValueError(
            f"{size} ranks cannot share {kv_heads} KV heads of {group} query heads each: take at most {kv_heads}, or a "
            f"multiple of {kv_heads} up to {kv_heads * group}"
        )
    head, place = divmod(rank, copies)
    queries = share(group, place, copies)
    return range(head * group + queries.start, head * group + queries.stop), range(head, head + 1)


def tensor_part(config, weights, rank, size):
    """(config, weights) of one rank under tensor parallelism: fewer heads, a narrower MLP, a part of the vocabulary.

    The matrices that come first in a block (q, k, v; gate, up) are cut by columns, the ones that end it (o; down) by
    rows. The config keeps the whole vocab_size. Raises ValueError for a size that does not fit the model.
    """
    queries, kept = heads_of(config, rank, size)
    wide, ids = share(config.intermediate_size, rank, size), share(config.vocab_size, rank, size)
    if not wide or not ids:
        raise ValueError(f"{size} ranks are more than an MLP of {config.intermediate_size} columns can be cut into")

    def numbers(heads):
        return slice(heads.start * config.head_dim, heads.stop * config.head_dim)

    columns = {"w_q": numbers(queries), "w_k": numbers(kept), "w_v": numbers(kept)}
    columns |= {name: slice(wide.start, wide.stop) for name in ("w_gate", "w_up")}
    rows = {"w_o": numbers(queries), "w_down": slice(wide.start, wide.stop)}

    def part(name, weight):
        return weight[rows[name]] if name in rows else weight[:, columns[name]] if name in columns else weight

    layers = [{name: part(name, weight) for name, weight in layer.items()} for layer in weights["layers"]]
    held = weights | {"layers": layers, "embedding": weights["embedding"][ids.start : ids.stop]}
    if "lm_head" in weights:
        held["lm_head"] = weights["lm_head"][:, ids.start : ids.stop]
    sizes = {"num_attention_heads": len(queries), "num_key_value_heads": len(kept), "intermediate_size": len(wide)}
    return replace(config, **sizes), held


def stage_part(config, weights, rank, size):
    """(config, weights) of one stage of a pipeline: consecutive layers; the embedding and the head where needed.

    Raises ValueError for more stages than layers.
    """
    layers = share(config.num_hidden_layers, rank, size)
    if not layers:
        raise ValueError(f"{size} stages are more than the model's {config.num_hidden_layers} layers")
    is_last = rank == size - 1
    held = weights | {"layers": weights["layers"][layers.start : layers.stop]}
    if rank and not (is_last and config.tie_word_embeddings):
        held["embedding"] = weights["embedding"][:0]
    if "lm_head" in weights and not is_last:
        held["lm_head"] = weights["lm_head"][:, :0]
    return replace(config, num_hidden_layers=len(layers)), held
