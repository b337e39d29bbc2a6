// How many requests fit, and how fast they decode. The formulas are those of mini_engine/accounting.py (weight_bytes,
// kv_bytes_per_token, max_batch_size_tp with replicate_kv) and speed.py; tests/test_cost_figures.py compares them.
(function () {
  "use strict";
  const data = window.figureData || {};
  const specs = data.models || {};
  const devices = data.devices || {};

  const parametersOf = (c) => {
    const q = c.num_attention_heads * c.head_dim, kv = c.num_key_value_heads * c.head_dim, d = c.hidden_size;
    const layer = 2 * d * q + 2 * d * kv + 3 * d * c.intermediate_size + 2 * d;
    return c.num_hidden_layers * layer + d + (c.tie_word_embeddings ? 1 : 2) * c.vocab_size * d;
  };
  const percent = (value) => `${Math.round(value * 100)} %`;

  Figure.define("capacity-planner", {
    title: "How many requests fit, and how fast?",
    controls: {
      model: { kind: "select", label: "Model", value: "llama-3-70b", options: Object.fromEntries(Object.keys(specs).filter((name) => name !== "tiny").map((name) => [name, name])) },
      device: { kind: "select", label: "GPU", value: "A100 80GB", options: Object.fromEntries(Object.keys(devices).map((name) => [name, name])) },
      tp: { kind: "range", label: "GPUs (tensor parallel)", steps: [1, 2, 4, 8, 16], value: 8 },
      context: { kind: "range", label: "Tokens per request", min: 256, max: 131072, value: 8192, scale: "log", step: 0.25 },
      weight_bytes_per: { kind: "select", label: "Weights stored as", options: { 2: "bf16, 2 bytes", 1: "int8 or fp8, 1 byte", 0.5: "int4, half a byte" }, value: "2" },
      kv_bytes_per: { kind: "select", label: "KV cache stored as", options: { 2: "bf16, 2 bytes", 1: "fp8 or int8, 1 byte", 0.5: "int4, half a byte" }, value: "2" },
      fraction: { kind: "range", label: "Memory used", steps: [0.8, 0.85, 0.9, 0.95, 1], value: 0.9, format: percent },
      share: { kind: "range", label: "Bandwidth reached", steps: [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1], value: 0.7, format: percent },
      target_ms: { kind: "range", label: "Time per token allowed", steps: [10, 15, 20, 30, 40, 50, 75, 100, 150, 200], value: 50, format: (ms) => `${ms} ms` },
    },
    compute(state) {
      const c = specs[state.model];
      const device = devices[state.device];
      const { tp, context } = state;
      const weightPer = Number(state.weight_bytes_per), kvPer = Number(state.kv_bytes_per);
      const kvHeads = c.num_key_value_heads;
      const weights = Math.ceil(parametersOf(c) * weightPer);
      const request = 2 * c.num_hidden_layers * kvHeads * c.head_dim * kvPer * context;
      const valid = c.num_attention_heads % tp === 0 && (kvHeads % tp === 0 || tp % kvHeads === 0);
      if (!valid) return { valid, weights, request, batch: 0, fast: 0, serve: 0 };
      const kept = kvHeads % tp === 0 ? kvHeads / tp : 1;
      const share = kept / kvHeads;
      // the K and V projections of a copied KV head are copied with it
      const kvParameters = 2 * c.num_hidden_layers * c.hidden_size * kvHeads * c.head_dim;
      const extra = Math.ceil(kvParameters * weightPer * (share - 1 / tp));
      const ownWeights = weights / tp + extra, ownRequest = request * share;
      const memory = device.memory_bytes * state.fraction;
      const free = memory - ownWeights;
      const batch = free < ownRequest ? 0 : Math.floor(free / ownRequest);
      const readable = device.bandwidth * state.share * (state.target_ms / 1000);
      const fast = Math.max(0, Math.floor((readable - ownWeights) / ownRequest));
      const serve = Math.min(batch, fast);
      const seconds = (n) => (ownWeights + n * ownRequest) / (device.bandwidth * state.share);
      return { valid, weights, request, kept, copies: share * tp, memory, own_weights: ownWeights, own_request: ownRequest, free, batch, fast, serve, step: seconds(serve), tokens_per_second: serve / seconds(serve) };
    },
    height: 128,
    draw(r, state, svg) {
      if (!r.valid) return;
      const memory = r.memory, right = svg.width - 8;
      const x = (bytes) => (Math.min(bytes, memory) / memory) * right;
      const over = r.own_weights > memory;
      svg.text(0, 14, `Memory of one GPU that may be used: ${Figure.bytes(memory)}`, { fill: "var(--fig-ink)" });
      svg.rect(0, 24, right, 30, { fill: "none", stroke: "var(--fig-line)" });
      svg.rect(0, 24, x(r.own_weights), 30, { fill: over ? "var(--fig-bad)" : "var(--fig-6)" });
      svg.rect(x(r.own_weights), 24, x(r.own_weights + r.serve * r.own_request) - x(r.own_weights), 30, { fill: "var(--fig-1)" });
      const fits = x(r.own_weights + r.batch * r.own_request) - x(r.own_weights + r.serve * r.own_request);
      svg.rect(x(r.own_weights + r.serve * r.own_request), 24, fits, 30, { fill: "none", stroke: "var(--fig-1)", "stroke-dasharray": "4 3" });
      const key = (y, fill, words, dashed) => {
        svg.rect(0, y - 11, 14, 12, dashed ? { fill: "none", stroke: fill, "stroke-dasharray": "4 3" } : { fill });
        svg.text(20, y, words, { fill: "var(--fig-ink)" });
      };
      key(76, over ? "var(--fig-bad)" : "var(--fig-6)", `weights: ${Figure.bytes(r.own_weights)}${over ? ", more than there is" : ""}`);
      key(98, "var(--fig-1)", `${Figure.count(r.serve)} requests that are also fast enough: ${Figure.bytes(r.serve * r.own_request)}`);
      key(120, "var(--fig-1)", `${Figure.count(Math.max(0, r.batch - r.serve))} more fit, but are too slow`, true);
    },
    say(r, state) {
      if (!r.valid) return `${state.tp} GPUs cannot split the ${specs[state.model].num_attention_heads} query and ${specs[state.model].num_key_value_heads} KV heads of ${state.model} evenly.`;
      const copies = r.copies > 1 ? ` Each KV head is stored ${r.copies} times, since there are more GPUs than KV heads.` : "";
      if (r.own_weights > r.memory) return `The weights alone need ${Figure.bytes(r.own_weights)} of the ${Figure.bytes(r.memory)} of each GPU: nothing fits.${copies}`;
      if (!r.batch) return `The weights fit, but not one request of ${Figure.bytes(r.own_request)} beside them.${copies}`;
      if (!r.fast) return `${Figure.count(r.batch)} requests fit, but even a single one takes longer than ${state.target_ms} ms per token.${copies}`;
      const limit = r.batch <= r.fast ? "memory is the limit" : "the time per token is the limit";
      return `${Figure.count(r.batch)} requests fit, ${Figure.count(r.fast)} keep within ${state.target_ms} ms per token: serve ${Figure.count(r.serve)} (${limit}), ` +
        `at ${Figure.seconds(r.step)} per step and at most ${Figure.count(r.tokens_per_second)} tokens per second together.${copies}`;
    },
    table(r, state) {
      const row = (name, n) => [name, Figure.count(n), Figure.bytes(n, false), Figure.bytes(n, true)];
      const rows = [row("weights, whole model", r.weights), row("KV cache of one request", r.request)];
      if (r.valid) rows.push(row("weights on each GPU", r.own_weights), row("one request on each GPU", r.own_request), row(`memory used of each of ${state.tp} GPUs`, r.memory));
      return { head: ["", "bytes", "decimal", "binary"], rows, caption: "Where the memory goes" };
    },
  });
})();
