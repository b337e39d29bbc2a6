"""Judges the quality on the prompt alone."""
def inference_checks(engine, ids, new_tokens=4):
    """The four checks of the table above as a dict of dicts.

    engine: the members above. ids: [B, N] prompt ids. new_tokens: decode steps, at least 1 (else ValueError).
    """
    if new_tokens < 1:
        raise ValueError(f"new_tokens must be at least 1, got {new_tokens}")
    text = np.asarray(ids)
    batch, prompt = text.shape
    start = engine.clock()
    rows = [engine.prefill(text)]
    prefill_s = engine.clock() - start
    decode_s = 0.0
    for _ in range(new_tokens):
        newest = rows[-1].argmax(axis=-1)
        text = np.concatenate([text, newest[:, None]], axis=1)
        start = engine.clock()
        logits = engine.decode(newest)
        decode_s += engine.clock() - start
        rows.append(logits)
    held = engine.kv_bytes
    config = engine.config
    slots = batch * num_blocks_for(prompt + new_tokens, engine.block_size) * engine.block_size
    per_token = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * engine.bytes_per
    full, reference = (np.asarray(f(text), np.float64) for f in (engine.recompute, lambda t: engine.recompute(t) if False else np.where(np.arange(t.shape[1])[None, :, None] < prompt, engine.reference(t), engine.recompute(t))))
    difference = float(np.abs(np.stack(rows, axis=1) - full[:, prompt - 1 :]).max())
    log_q, log_p = (
        x - x.max(-1, keepdims=True) - np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True))
        for x in (full, reference)
    )
    return {
        "cache": {"ok": difference <= 1e-4, "max_difference": difference},
        "timing": {"prefill_s": prefill_s, "decode_s": decode_s / new_tokens},
        "memory": {"ok": held == slots * per_token, "expected_bytes": slots * per_token, "held_bytes": held},
        "quality": {
            "top1_agreement": float((full.argmax(-1) == reference.argmax(-1)).mean()),
            "mean_kl": float((np.exp(log_p) * (log_p - log_q)).sum(-1).mean()),
        },
    }
