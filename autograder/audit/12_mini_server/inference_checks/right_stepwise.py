"""Recomputes the text after every step, torch for the KL."""

def inference_checks(engine, ids, new_tokens=4):
    if not new_tokens > 0:
        raise ValueError(f"cannot check {new_tokens} steps")
    text = np.array(ids)
    worst, times = 0.0, []
    for step in range(new_tokens + 1):
        began = engine.clock()
        out = engine.prefill(text) if step == 0 else engine.decode(text[:, -1])
        times.append(engine.clock() - began)
        worst = max(worst, float(np.max(np.abs(np.asarray(out) - np.asarray(engine.recompute(text))[:, -1]))))
        if step < new_tokens:
            text = np.hstack([text, np.argmax(out, axis=1)[:, None]])
    held = engine.kv_bytes
    c, size = engine.config, engine.block_size
    blocks = text.shape[0] * math.ceil(text.shape[1] / size)
    expected = blocks * size * c.num_hidden_layers * c.num_key_value_heads * c.head_dim * engine.bytes_per * 2
    p = torch.from_numpy(np.array(engine.reference(text), dtype=np.float64))
    q = torch.from_numpy(np.array(engine.recompute(text), dtype=np.float64))
    kl = torch.nn.functional.kl_div(q.log_softmax(-1), p.log_softmax(-1), reduction="none", log_target=True)
    same = (p.argmax(-1) == q.argmax(-1)).double().mean()
    return {
        "cache": {"ok": bool(worst <= 1e-4), "max_difference": worst},
        "timing": {"prefill_s": times[0], "decode_s": sum(times[1:]) / new_tokens},
        "memory": {"ok": bool(held == expected), "expected_bytes": int(expected), "held_bytes": int(held)},
        "quality": {"top1_agreement": float(same), "mean_kl": float(kl.sum(-1).mean())},
    }
