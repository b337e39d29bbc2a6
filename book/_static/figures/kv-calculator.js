// What a KV cache costs. The formulas are those of mini_engine/accounting.py: kv_bytes_per_token, kv_cache_bytes and
// kv_heads_per_gpu(…, replicate_kv=True); tests/test_figures.py compares them on random inputs.
(function () {
  "use strict";
  const specs = (window.figureData && window.figureData.models) || {};
  const GPU_BYTES = 80e9;

  // KV heads that each of tp GPUs keeps, or 0 where the split cannot be made.
  const headsPerGpu = (heads, kvHeads, tp) => {
    if (heads % tp) return 0;
    if (kvHeads % tp === 0) return kvHeads / tp;
    return tp % kvHeads === 0 ? 1 : 0;
  };

  Figure.define("kv-calculator", {
    title: "What does a KV cache cost?",
    controls: {
      model: {
        kind: "select", label: "Model", value: "llama-3-8b",
        options: { ...Object.fromEntries(Object.keys(specs).filter((name) => name !== "tiny").map((name) => [name, name])), custom: "your own numbers" },
      },
      num_hidden_layers: { kind: "range", label: "Layers", min: 1, max: 128, value: 32 },
      num_attention_heads: { kind: "range", label: "Query heads", steps: [1, 2, 4, 8, 9, 16, 24, 32, 40, 48, 64, 96, 128], value: 32 },
      num_key_value_heads: { kind: "range", label: "KV heads", steps: [1, 2, 3, 4, 8, 16, 24, 32, 40, 48, 64, 96, 128], value: 8 },
      head_dim: { kind: "range", label: "Numbers per head", steps: [16, 32, 64, 80, 96, 128, 192, 256], value: 128 },
      bytes_per: { kind: "select", label: "Stored as", options: { 4: "float32, 4 bytes", 2: "bf16 or fp16, 2 bytes", 1: "fp8 or int8, 1 byte", 0.5: "int4, half a byte" }, value: "2" },
      tokens: { kind: "range", label: "Tokens per request", min: 128, max: 131072, value: 8192, scale: "log", step: 0.25 },
      batch: { kind: "range", label: "Requests at once", min: 1, max: 512, value: 16, scale: "log", step: 0.25 },
      tp: { kind: "range", label: "GPUs (tensor parallel)", steps: [1, 2, 4, 8, 16, 32], value: 1 },
      gib: { kind: "check", label: "binary units (GiB = 2³⁰ bytes)", value: false },
    },
    changed(name, state) {
      const spec = specs[state.model];
      if (name === "model" && spec) {
        for (const key of ["num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim"]) state[key] = spec[key];
      } else if (spec && name in spec) state.model = "custom";
    },
    compute(state) {
      const { num_hidden_layers: layers, num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: dim, tokens, batch, tp } = state;
      const each = Number(state.bytes_per);
      const perToken = 2 * layers * kvHeads * dim * each;
      const total = Math.ceil(perToken * tokens * batch);
      const valid = heads % kvHeads === 0;
      const kept = valid ? headsPerGpu(heads, kvHeads, tp) : 0;
      return {
        valid, kept,
        copies: kept ? (kept * tp) / kvHeads : 0,
        per_token: perToken,
        per_request: Math.ceil(perToken * tokens),
        total,
        per_gpu: Math.ceil(2 * layers * kept * dim * each * tokens * batch),
        query_heads_total: Math.ceil(2 * layers * heads * dim * each * tokens * batch),
      };
    },
    height: (r) => (r.kept ? 178 : 132),
    draw(r, state, svg) {
      const show = (n) => Figure.bytes(n, state.gib);
      const bars = [
        ["by query heads, the common mistake", r.query_heads_total, "var(--fig-6)"],
        ["all requests together", r.total, "var(--fig-1)"],
      ];
      if (r.kept) bars.push([state.tp > 1 ? `on each of ${state.tp} GPUs` : "on the GPU", r.per_gpu, "var(--fig-2)"]);
      const most = Math.max(...bars.map((bar) => bar[1]), GPU_BYTES);
      const right = svg.width - 8;
      const x = (n) => (n / most) * right;
      bars.forEach(([label, n, fill], i) => {
        const y = 8 + 46 * i;
        svg.text(0, y + 12, `${label}: ${show(n)}`, { fill: "var(--fig-ink)" });
        svg.rect(0, y + 18, Math.max(1, x(n)), 18, { fill, rx: 2 });
      });
      const bottom = 8 + 46 * bars.length;
      svg.line(x(GPU_BYTES), 4, x(GPU_BYTES), bottom, { stroke: "var(--fig-ink)", "stroke-dasharray": "4 4" });
      const late = x(GPU_BYTES) > svg.width / 2;
      svg.text(x(GPU_BYTES) + (late ? -4 : 4), bottom + 12, `memory of one GPU: ${show(GPU_BYTES)}`, { fill: "var(--fig-muted)", "text-anchor": late ? "end" : "start" });
    },
    say(r, state) {
      const show = (n) => Figure.bytes(n, state.gib);
      if (!r.valid) return `${state.num_attention_heads} query heads cannot share ${state.num_key_value_heads} KV heads evenly: such a model does not exist.`;
      const cost = `One token costs ${show(r.per_token)}, one request ${show(r.per_request)}, all ${Figure.count(state.batch)} together ${show(r.total)}.`;
      if (!r.kept) return `${cost} ${state.tp} GPUs cannot split ${state.num_attention_heads} query and ${state.num_key_value_heads} KV heads evenly.`;
      if (state.tp === 1) return cost;
      const copied = r.copies > 1 ? `: there are more GPUs than KV heads, so each head is stored ${r.copies} times` : "";
      return `${cost} Each of ${state.tp} GPUs keeps ${r.kept} KV head${r.kept > 1 ? "s" : ""} and ${show(r.per_gpu)}${copied}.`;
    },
    table(r, state) {
      const row = (name, n) => [name, Figure.count(n), Figure.bytes(n, false), Figure.bytes(n, true)];
      const rows = [row("one token", r.per_token), row("one request", r.per_request), row("all requests", r.total), row("with one KV head per query head", r.query_heads_total)];
      if (r.kept) rows.push(row(`each of ${state.tp} GPUs`, r.per_gpu));
      return { head: ["cache of", "bytes", "decimal", "binary"], rows, caption: "Size of the KV cache" };
    },
  });
})();
