"""Uses the engine's accounting throughout."""
def plan_70b():
    from mini_engine import accounting as acc

    fit = [acc.max_batch_size_tp(LLAMA_3_70B, share * 80e9, 8192, 2, b, 8) for share, b in ((1, 2), (0.9, 2), (1, 1))]
    kv, weights = acc.kv_bytes_per_token(LLAMA_3_70B) * 8192, acc.weight_bytes(LLAMA_3_70B)
    reached = 0.7 * 8 * 2.039e12

    def step(batch):
        return acc.decode_floor_ms(weights, batch * kv, reached)

    plan = {"kv_gb": kv / 1e9, "sequences": int(fit[0]), "sequences_90": int(fit[1]), "sequences_8bit_kv": int(fit[2])}
    plan["weight_floor_ms"] = acc.decode_floor_ms(weights / 8, 0, 2.039e12)
    plan["step_ms"] = step(plan["sequences_90"])
    plan["sequences_itl"] = max(n for n in range(1, plan["sequences_90"] + 1) if step(n) <= 50)
    plan["ttft_s"] = acc.forward_flops(LLAMA_3_70B, 8192) / (0.5 * 8 * 312e12)
    plan["itl_verdict"] = "feasible" if plan["sequences_itl"] > 0 else "infeasible"
    plan["ttft_verdict"] = "only when idle" if 0.5 < plan["ttft_s"] < 1 else "infeasible"
    plan["first_lever"] = "8-bit KV cache" if plan["sequences_90"] * kv > 2 * weights else "4-bit weights"
    return plan
