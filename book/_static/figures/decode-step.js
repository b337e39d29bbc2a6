// What a decode step spends its time on: starting kernels, or the gaps between them, and reading or computing. The formulas are those of
// mini_engine/accounting.py (weight_bytes, kv_bytes_per_token, forward_flops) and speed.py (Device, decode_floor_ms);
// tests/test_gpu_lab.py compares them.
(function () {
  "use strict";
  const data = window.figureData || {};
  const specs = data.models || {};
  const devices = data.devices || {};
  const WEIGHTS = [["bf16", 2], ["int8", 1], ["int4", 0.5]]; // scales left out: 3% at groups of 128 in 4 bits

  const parameters = (c) => {
    const q = c.num_attention_heads * c.head_dim, kv = c.num_key_value_heads * c.head_dim, d = c.hidden_size;
    const matmul = c.num_hidden_layers * (2 * d * q + 2 * d * kv + 3 * d * c.intermediate_size) + d * c.vocab_size;
    const norms = (2 * c.num_hidden_layers + 1) * d;
    return { matmul, all: matmul + norms + (c.tie_word_embeddings ? 0 : c.vocab_size * d), q, kv };
  };

  const names = { launches: "starting kernels", gaps: "gaps between kernels", reading: "reading", arithmetic: "arithmetic" };

  Figure.define("decode-step", {
    title: "Where does a decode step spend its time?",
    controls: {
      model: { kind: "select", label: "Model", value: "smollm2-135m", options: Object.fromEntries(Object.keys(specs).filter((name) => name !== "tiny").map((name) => [name, name])) },
      device: { kind: "select", label: "GPU", value: "H200 141GB", options: Object.fromEntries(Object.keys(devices).map((name) => [name, name])) },
      how: { kind: "select", label: "Kernels are", value: "queued", options: { queued: "started one by one", graph: "replayed as a graph" } },
      kernels: { kind: "range", label: "Kernels per step", min: 0, max: 1500, step: 10, value: 1160 },
      launch_us: { kind: "range", label: "Time per kernel (µs)", min: 0, max: 12, step: 0.1, value: 5, format: (value) => Figure.digits(value, 3) },
      batch: { kind: "range", label: "Batch (sequences)", min: 1, max: 1024, value: 1, scale: "log", step: 0.25 },
      context: { kind: "range", label: "Cached tokens each", min: 1, max: 32768, value: 128, scale: "log", step: 0.25 },
    },
    compute(state) {
      const config = specs[state.model], { bandwidth, peak_flops: peak } = devices[state.device];
      const counts = parameters(config);
      const kvBytes = state.batch * state.context * 2 * config.num_hidden_layers * counts.kv * 2; // 16-bit cache
      const flops = state.batch * (2 * counts.matmul + 4 * config.num_hidden_layers * counts.q * (state.context + 1));
      const launches = state.kernels * state.launch_us * 1e-6, arithmetic = flops / peak;
      const rows = WEIGHTS.map(([name, each]) => {
        const bytes = Math.ceil(counts.all * each) + kvBytes, reading = bytes / bandwidth;
        const work = Math.max(reading, arithmetic), isGraph = state.how === "graph";
        // a queue fills while earlier kernels run, so the slower side counts; the gaps of a graph add to the work
        const step = isGraph ? work + launches : Math.max(work, launches);
        const rules = launches > work ? (isGraph ? "gaps" : "launches") : reading >= arithmetic ? "reading" : "arithmetic";
        return { name, bytes, reading, work, step, rules, tokens_per_s: state.batch / step };
      });
      return { rows, launches, arithmetic, flops, gain: rows[0].step / rows[1].step };
    },
    height: (r, state, width) => (width < 480 ? 250 : 210),
    draw(r, state, svg) {
      const left = 46, right = svg.width - 14, narrow = svg.width < 480;
      const longest = Math.max(...r.rows.map((row) => row.step)), scale = (right - left - (narrow ? 60 : 74)) / longest;
      const gap = (svg.height - 58) / r.rows.length;
      r.rows.forEach((row, i) => {
        const y = 8 + i * gap, high = Math.min(30, gap - 14), isGraph = state.how === "graph";
        // in a graph one behind the other; else host above device, at the same time
        const start = isGraph ? left + r.launches * scale : left, half = isGraph ? high : high / 2;
        const low = isGraph ? y : y + half;
        svg.text(left - 8, y + high / 2 + 4, row.name, { "text-anchor": "end", fill: "var(--fig-ink)" });
        svg.rect(left, y, r.launches * scale, half, { fill: "var(--fig-2)" });
        svg.rect(start, low, row.work * scale, half, { fill: row.reading >= r.arithmetic ? "var(--fig-1)" : "var(--fig-4)" });
        if (row.reading < r.arithmetic) svg.rect(start, low + half / 2 - 1.5, row.work * scale, 3, { fill: "var(--pst-color-background, #fff)" });
        svg.text(left + row.step * scale + 6, y + high / 2 + 4, Figure.seconds(row.step), { fill: "var(--fig-ink)", "font-size": 12 });
      });
      const key = [["var(--fig-2)", state.how === "graph" ? names.gaps : names.launches, false], ["var(--fig-1)", names.reading, false], ["var(--fig-4)", `${names.arithmetic} (where it is longer)`, true]];
      let x = left, y = svg.height - (narrow ? 40 : 22);
      key.forEach(([fill, label, striped], i) => {
        if (narrow && i === 2) { x = left; y += 20; }
        svg.rect(x, y, 14, 12, { fill });
        if (striped) svg.rect(x, y + 4.5, 14, 3, { fill: "var(--pst-color-background, #fff)" });
        svg.text(x + 20, y + 11, label, { fill: "var(--fig-ink)", "font-size": 12 });
        x += 34 + 7 * label.length;
      });
    },
    say(r, state) {
      const [bf16] = r.rows;
      const rate = `${Figure.count(bf16.tokens_per_s)} tokens per second${state.batch > 1 ? " for all sequences together" : ""}`;
      const work = `${Figure.seconds(bf16.work)} of ${bf16.reading >= r.arithmetic ? names.reading : names.arithmetic}`;
      const both = state.how === "graph"
        ? `${Figure.seconds(r.launches)} of ${names.gaps} and ${work}, one after the other`
        : `the longer of ${Figure.seconds(r.launches)} of ${names.launches} and ${work}, at the same time`;
      return `A step in bf16 takes ${Figure.seconds(bf16.step)}: ${both}; ${rate}. ` +
        `The limit is ${names[bf16.rules]}. ` +
        (r.gain < 1.005 ? "int8 weights change nothing." : `int8 weights make it ${Figure.digits(r.gain, 3)} times faster.`);
    },
    table(r) {
      const ms = (seconds) => Figure.digits(seconds * 1e3, 4);
      const row = (p) => [p.name, Figure.digits(p.bytes / 1e9, 4), ms(p.reading), ms(r.arithmetic), ms(r.launches), ms(p.step), Figure.count(p.tokens_per_s)];
      return { head: ["weights", "GB read", "reading (ms)", "arithmetic (ms)", "starts or gaps (ms)", "step (ms)", "tokens per s"], rows: r.rows.map(row), caption: "The two-line roofline of one decode step" };
    },
  });
})();
