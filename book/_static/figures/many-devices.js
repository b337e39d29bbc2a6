// The floor of a decode step on several devices: reading, which more devices share, and all-reduces, which they add.
// The formulas are tensor_step_s of mini_engine/parallel/traffic.py; tests/test_parallel.py compares them.
(function () {
  "use strict";
  const specs = (window.figureData && window.figureData.models) || {};
  const MEMORY = 3.35e12; // bytes per second: an H100's, as in mini_engine/speed.py
  const SIZES = [1, 2, 4, 8, 16];
  const LINKS = { "450e9": "450 GB/s, NVLink of an H100", "64e9": "64 GB/s, PCIe 5 x16", "12.5e9": "12.5 GB/s, 100 Gb/s Ethernet" };

  // KV heads of the busiest of n devices, or 0 where the split cannot be made (heads_of in split.py).
  const keptHeads = (config, n) => {
    const heads = config.num_key_value_heads, group = config.num_attention_heads / heads;
    if (n <= heads) return Math.ceil(heads / n);
    return n % heads === 0 && n / heads <= group ? 1 : 0;
  };
  const step = (config, state, n) => {
    const kept = config ? keptHeads(config, n) : 0;
    if (!kept) return { size: n, fits: false, read_s: 0, talk_s: 0, total_s: 0 };
    const { num_hidden_layers: layers, hidden_size: d, num_attention_heads: heads, num_key_value_heads: kv, head_dim: dim } = config;
    const share = kept / kv;
    const kvWeights = 2 * layers * d * kv * dim;
    const others = layers * (2 * d * heads * dim + 3 * d * config.intermediate_size) + d * config.vocab_size;
    const bytes = 2 * (others / n + kvWeights * share) + state.batch * state.context * 2 * layers * kv * dim * 2 * share;
    const message = state.latency / 1e6 + (state.batch * d * 2) / n / Number(state.link);
    const read = bytes / MEMORY, talk = (2 * layers + 1) * 2 * (n - 1) * message;
    return { size: n, fits: true, read_s: read, talk_s: talk, total_s: read + talk };
  };

  Figure.define("many-devices", {
    title: "When do more devices stop helping?",
    controls: {
      model: { kind: "select", label: "Model, 16 bits", value: "llama-3-8b", options: Object.fromEntries(Object.keys(specs).filter((name) => name !== "tiny").map((name) => [name, name])) },
      size: { kind: "range", label: "Devices", steps: SIZES, value: 2 },
      link: { kind: "select", label: "What a device can send", value: "450e9", options: LINKS },
      latency: { kind: "range", label: "Latency of a message", min: 0, max: 50, value: 3, step: 0.5, format: (n) => `${n} µs` },
      batch: { kind: "range", label: "Requests in the step", min: 1, max: 512, value: 1, scale: "log", step: 0.5 },
      context: { kind: "range", label: "Tokens of each", min: 128, max: 32768, value: 1024, scale: "log", step: 0.25 },
    },
    compute(state) {
      const config = specs[state.model];
      const rows = SIZES.map((n) => step(config, state, n));
      const fitting = rows.filter((row) => row.fits);
      const best = fitting.reduce((a, b) => (b.total_s < a.total_s ? b : a), fitting[0] || { size: 1, total_s: 0 });
      return { ...step(config, state, state.size), rows, best: best.size, one_s: fitting.length ? fitting[0].total_s : 0 };
    },
    height: 40 + 38 * SIZES.length,
    draw(result, state, svg) {
      const left = 76, right = svg.width - 96, most = Math.max(...result.rows.map((row) => row.total_s), 1e-12);
      const wide = (seconds) => ((right - left) * seconds) / most;
      result.rows.forEach((row, i) => {
        const y = 6 + 38 * i;
        svg.text(0, y + 18, row.size === 1 ? "1 device" : `${row.size} devices`, { fill: "var(--fig-ink)", "font-size": 13, "font-weight": row.size === state.size ? 700 : 400 });
        if (!row.fits) return void svg.text(left, y + 18, "the heads cannot be split", { fill: "var(--fig-muted)", "font-size": 13 });
        svg.rect(left, y + 2, Math.max(1, wide(row.read_s)), 24, { fill: "var(--fig-1)" });
        if (row.talk_s) svg.rect(left + wide(row.read_s), y + 2, Math.max(1, wide(row.talk_s)), 24, { fill: "var(--fig-2)" });
        svg.text(left + wide(row.total_s) + 6, y + 19, Figure.seconds(row.total_s), { fill: "var(--fig-ink)", "font-size": 13, "font-weight": row.size === state.size ? 700 : 400 });
      });
      const y = 6 + 38 * SIZES.length;
      svg.rect(left, y + 6, 12, 12, { fill: "var(--fig-1)" });
      svg.text(left + 17, y + 17, "reading", { fill: "var(--fig-ink)", "font-size": 13 });
      svg.rect(left + 82, y + 6, 12, 12, { fill: "var(--fig-2)" });
      svg.text(left + 99, y + 17, "all-reduces", { fill: "var(--fig-ink)", "font-size": 13 });
    },
    say(result, state) {
      if (!result.fits) return `The heads of this model cannot be split over ${state.size} devices.`;
      const part = Figure.digits((100 * result.talk_s) / result.total_s, 2);
      const factor = Figure.digits(result.one_s / result.total_s, 2);
      return `On ${state.size === 1 ? "1 device" : `${state.size} devices`} a step takes at least ${Figure.seconds(result.total_s)}, ${part}% of it for all-reduces: ${factor} times as fast as one. The fastest here is ${result.best}.`;
    },
    table(result) {
      const rows = result.rows.map((row) => (row.fits ? [row.size, Figure.seconds(row.read_s), row.talk_s ? Figure.seconds(row.talk_s) : "0 s", Figure.seconds(row.total_s)] : [row.size, "–", "–", "cannot be split"]));
      return { head: ["devices", "reading", "all-reduces", "step"], rows, caption: "The same step on more devices" };
    },
  });
})();
