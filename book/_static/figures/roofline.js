// Where prefill and decode lie on a GPU's roofline. The formulas are those of mini_engine/accounting.py (forward_flops,
// weight_bytes, kv_bytes_per_token) and speed.py (roofline, ridge_point); tests/test_cost_figures.py compares them.
(function () {
  "use strict";
  const data = window.figureData || {};
  const specs = data.models || {};
  const devices = data.devices || {};
  const BYTES = 2; // bf16

  const counts = (c) => {
    const q = c.num_attention_heads * c.head_dim, kv = c.num_key_value_heads * c.head_dim, d = c.hidden_size;
    const matmul = c.num_hidden_layers * (2 * d * q + 2 * d * kv + 3 * d * c.intermediate_size) + d * c.vocab_size;
    const norms = (2 * c.num_hidden_layers + 1) * d;
    const parameters = matmul + norms + (c.tie_word_embeddings ? 0 : c.vocab_size * d);
    // a pass reads every matrix and the LM head; of the embedding it looks up single rows
    return { matmul, readBytes: matmul * BYTES, weightBytes: parameters * BYTES, kvToken: 2 * c.num_hidden_layers * kv * BYTES, perPair: 4 * c.num_hidden_layers * q };
  };

  const POINTS = [
    // key, label, colour, marker path around (0, 0)
    ["attention", "decode: attention", "var(--fig-4)", "M-6 -6H6V6H-6Z"],
    ["linear", "decode: linear layers", "var(--fig-3)", "M0 -7L7 6H-7Z"],
    ["decode", "decode: the whole step", "var(--fig-2)", "M-6 0A6 6 0 1 0 6 0A6 6 0 1 0 -6 0Z"],
    ["prefill", "prefill of one prompt", "var(--fig-1)", "M0 -8L8 0L0 8L-8 0Z"],
  ];

  Figure.define("roofline", {
    title: "What limits this step: memory or arithmetic?",
    controls: {
      model: { kind: "select", label: "Model", value: "llama-3-8b", options: Object.fromEntries(Object.keys(specs).filter((name) => name !== "tiny").map((name) => [name, name])) },
      device: { kind: "select", label: "GPU", value: "A100 80GB", options: Object.fromEntries(Object.keys(devices).map((name) => [name, name])) },
      batch: { kind: "range", label: "Batch (requests)", min: 1, max: 1024, value: 64, scale: "log", step: 0.25 },
      context: { kind: "range", label: "Context (tokens)", min: 16, max: 131072, value: 2048, scale: "log", step: 0.25 },
    },
    compute(state) {
      const { matmul, readBytes, weightBytes, kvToken, perPair } = counts(specs[state.model]);
      const { peak_flops: peak, bandwidth, memory_bytes: memory } = devices[state.device];
      const { batch, context } = state;
      const kvBytes = batch * context * kvToken;
      const part = (flops, bytes) => {
        const intensity = flops / bytes;
        const reached = Math.min(peak, intensity * bandwidth);
        return { flops, bytes, intensity, reached, seconds: flops / reached };
      };
      const attention = part(batch * perPair * (context + 1), kvBytes);
      const linear = part(2 * batch * matmul, readBytes);
      const decode = part(attention.flops + linear.flops, kvBytes + readBytes);
      // one prompt of `context` tokens: weights read once, its KV cache written; scores stay on the chip
      const prefill = part(2 * context * matmul + (perPair * context * (context + 1)) / 2, readBytes + context * kvToken);
      const step = attention.seconds + linear.seconds;
      return { ridge: peak / bandwidth, peak, bandwidth, attention, linear, decode, prefill, step, tokens_per_second: batch / step, fits: weightBytes + kvBytes <= memory };
    },
    height: (r, state, width) => (width < 480 ? 330 : 300),
    draw(r, state, svg) {
      const left = 46, right = svg.width - 12, top = 14, bottom = svg.height - 42;
      const x0 = -2, x1 = 5, y0 = 10.5, y1 = 15.3; // powers of ten of intensity and of FLOP/s
      const x = (i) => left + ((Math.min(Math.max(Math.log10(i), x0), x1) - x0) / (x1 - x0)) * (right - left);
      const y = (f) => bottom - ((Math.min(Math.max(Math.log10(f), y0), y1) - y0) / (y1 - y0)) * (bottom - top);
      for (let p = x0; p <= x1; p += 1) {
        svg.line(x(10 ** p), top, x(10 ** p), bottom);
        const name = p < 3 ? Figure.digits(10 ** p, 1) : `${10 ** (p - 3)}k`;
        svg.text(x(10 ** p), bottom + 16, name, { fill: "var(--fig-muted)", "text-anchor": p < x1 ? "middle" : "end", "font-size": 12 });
      }
      for (let p = 11; p <= 15; p += 1) {
        svg.line(left, y(10 ** p), right, y(10 ** p));
        svg.text(left - 6, y(10 ** p) + 4, Figure.digits(10 ** (p - 12), 1), { fill: "var(--fig-muted)", "text-anchor": "end", "font-size": 12 });
      }
      svg.text((left + right) / 2, svg.height - 6, "FLOP per byte", { fill: "var(--fig-ink)", "text-anchor": "middle" });
      svg.text(left - 40, 10, "TFLOP/s", { fill: "var(--fig-ink)", "font-size": 12 });
      const start = 10 ** Math.max(x0, y0 - Math.log10(r.bandwidth));
      svg.path(`M${x(start)} ${y(start * r.bandwidth)}L${x(r.ridge)} ${y(r.peak)}H${right}`, { stroke: "var(--fig-ink)" });
      svg.line(x(r.ridge), y(r.peak), x(r.ridge), bottom, { stroke: "var(--fig-muted)", "stroke-dasharray": "4 4" });
      svg.text(x(r.ridge) + 4, bottom - 6, `ridge ${Figure.digits(r.ridge, 3)}`, { fill: "var(--fig-muted)", "font-size": 12 });
      svg.rect(right - 190, bottom - 110, 188, 84, { fill: "var(--pst-color-background, #fff)" }); // behind the legend
      POINTS.forEach(([key, label, fill, d], i) => {
        svg.path(d, { transform: `translate(${x(r[key].intensity)} ${y(r[key].reached)})`, fill, stroke: "var(--pst-color-background, #fff)", "stroke-width": 1.5 });
        const ly = bottom - 92 + 19 * i, lx = right - 178;
        svg.path(d, { transform: `translate(${lx} ${ly - 4}) scale(0.8)`, fill, stroke: "none" });
        svg.text(lx + 12, ly, label, { fill: "var(--fig-ink)" });
      });
    },
    say(r, state) {
      const side = (p) => (p.intensity < r.ridge ? "limited by memory" : "limited by arithmetic");
      const fit = r.fits ? "" : ` Weights and caches do not fit into the memory of one ${state.device}.`;
      return `A decode step has ${Figure.digits(r.decode.intensity, 3)} FLOP per byte (${side(r.decode)}) and takes at least ${Figure.seconds(r.step)}: ` +
        `at most ${Figure.count(r.tokens_per_second)} tokens per second${state.batch > 1 ? ` for all ${Figure.count(state.batch)} requests together` : ""}. ` +
        `Prefill of ${Figure.count(state.context)} tokens has ${Figure.digits(r.prefill.intensity, 3)} (${side(r.prefill)}).${fit}`;
    },
    table(r) {
      const row = ([key, label]) => [label, Figure.digits(r[key].flops / 1e9, 4), Figure.digits(r[key].bytes / 1e9, 4), Figure.digits(r[key].intensity, 4), Figure.digits(r[key].reached / 1e12, 4), Figure.digits(r[key].seconds * 1e3, 4)];
      return { head: ["", "GFLOP", "GB", "FLOP per byte", "TFLOP/s at most", "ms at least"], rows: POINTS.map(row), caption: "Work, traffic and the roofline" };
    },
  });
})();
