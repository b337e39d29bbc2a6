// One forward pass of a LLaMA model, step by step: what goes in, the weight, what comes out, parameters and FLOPs.
// The sums over all steps are parameter_count and forward_flops of mini_engine/accounting.py; tests/test_basics_figures.py
// compares them. A multiply-add is 2 FLOPs; norms, softmax, RoPE and SiLU are left out there and here.
(function () {
  "use strict";
  const specs = (window.figureData || {}).models || {};
  const names = Object.keys(specs).filter((name) => name !== "tiny");

  // Which of the chapter's eight steps each of these is.
  const CHAPTER = [1, 2, 3, 3, 3, 6, 6, 4, 4, 4, 5, 5, 2, 7, 7, 7, 7, 7, 8, 8];

  // Every step: name, shapes of input, weight and output, and what it is for. A step of a layer runs once in each layer.
  const passSteps = (c, n) => {
    const d = c.hidden_size, ff = c.intermediate_size, vocab = c.vocab_size, size = c.head_dim;
    const hq = c.num_attention_heads, hkv = c.num_key_value_heads, q = hq * size, kv = hkv * size;
    const pairs = (n * (n + 1)) / 2; // of a query and a key that it may see
    const matmul = (name, rows, columns, why, layer = true) =>
      ({ name, layer, input: [n, rows], weight: [rows, columns], output: [n, columns], params: rows * columns, flops: 2 * n * rows * columns, why });
    const norm = (name, layer = true) =>
      ({ name, layer, input: [n, d], weight: [d], output: [n, d], params: d, flops: 0, why: "Each token's vector is brought to a common size and multiplied by a gain." });
    const other = (name, input, output, why, flops = 0) => ({ name, layer: true, input, weight: null, output, params: 0, flops, why });
    const add = () => other("Add to the residual stream", [n, d], [n, d], "The result is added to what came in; the width never changes.");
    const shared = hq === hkv ? "" : ` ${hq / hkv} query heads share each KV head.`;
    return [
      { name: "Embedding", layer: false, input: [n], weight: [vocab, d], output: [n, d], params: vocab * d, flops: 0, why: "Each id picks a row of the table. No arithmetic." },
      norm("Norm before attention"),
      matmul("Queries", d, q, "One query per head and token."),
      matmul("Keys", d, kv, "One key per KV head and token. This is what a cache keeps."),
      matmul("Values", d, kv, "One value per KV head and token. This is what a cache keeps."),
      other("Queries into heads, rotated", [n, q], [hq, n, size], "RoPE turns pairs of features by an angle that grows with the position."),
      other("Keys into heads, rotated", [n, kv], [hkv, n, size], "Rotated like the queries. Values are only cut into heads."),
      other("Scores", [hq, n, size], [hq, n, n], `Every query against the keys it may see.${shared}`, 2 * q * pairs),
      other("Softmax", [hq, n, n], [hq, n, n], "Scores of later tokens are minus infinity; each row then sums to 1."),
      other("Weighted values", [hq, n, n], [hq, n, size], "Each query's average of the values it sees.", 2 * q * pairs),
      matmul("Output projection", q, d, "The heads of a token side by side, mixed back to the model size."),
      add(),
      norm("Norm before the MLP"),
      matmul("Gate", d, ff, "A full matrix of its own."),
      matmul("Up", d, ff, "Another full matrix of the same shape."),
      other("SiLU(gate) times up", [n, ff], [n, ff], "Only the gate goes through SiLU. Feature by feature."),
      matmul("Down", ff, d, "Back to the model size."),
      add(),
      norm("Final norm", false),
      { ...matmul("LM head", d, vocab, c.tie_word_embeddings ? "The embedding again, transposed: no parameters of its own." : "One column per vocabulary entry.", false), params: c.tie_word_embeddings ? 0 : d * vocab },
    ];
  };

  const shape = (sizes) => `[${sizes.map(Figure.count).join(", ")}]`;
  const large = (value) => {
    const units = [[1e12, "trillion"], [1e9, "billion"], [1e6, "million"], [1e3, "thousand"]];
    const unit = units.find(([size]) => value >= size);
    return unit ? `${Figure.digits(value / unit[0], 3)} ${unit[1]}` : Figure.count(value);
  };
  const LAST = 20;

  Figure.define("llama-shapes", {
    title: "Shapes through a LLaMA model",
    controls: {
      model: { kind: "select", label: "Model", value: "llama-2-7b", options: Object.fromEntries(names.map((name) => [name, name])) },
      tokens: { kind: "range", label: "Tokens in the pass (N)", min: 1, max: 4096, value: 8, scale: "log", step: 0.25 },
      step: { kind: "range", label: "Part of the pass", min: 1, max: LAST, value: 3, format: (v) => `${v} of ${LAST}` },
    },
    buttons: {
      Back: (state, figure) => { state.step = Math.max(1, state.step - 1); figure.update(); },
      Next: (state, figure) => { state.step = Math.min(LAST, state.step + 1); figure.update(); },
    },
    compute(state) {
      const config = specs[state.model];
      const list = passSteps(config, state.tokens);
      const times = (step) => (step.layer ? config.num_hidden_layers : 1);
      const sum = (key) => list.reduce((total, step) => total + times(step) * step[key], 0);
      return { steps: list, step: list[state.step - 1], layers: config.num_hidden_layers, params: sum("params"), flops: sum("flops") };
    },
    height: (r, state, width) => (width < 480 ? 300 : 290),
    draw(r, state, svg) {
      const wide = svg.width, cell = (wide - 2) / r.steps.length;
      r.steps.forEach((step, i) => {
        const here = i === state.step - 1;
        svg.rect(1 + i * cell, here ? 4 : 9, cell - 2, here ? 26 : 16, { fill: here ? "var(--fig-2)" : step.params ? "var(--fig-1)" : "var(--fig-line)" });
      });
      const inLayers = r.steps.map((step, i) => (step.layer ? i : -1)).filter((i) => i >= 0);
      const from = 1 + inLayers[0] * cell, to = 1 + (inLayers.at(-1) + 1) * cell - 2;
      svg.path(`M${from} 36V42H${to}V36`, { stroke: "var(--fig-muted)", "stroke-width": 1 });
      svg.text((from + to) / 2, 58, wide < 480 ? `in each of ${r.layers} layers (blue: has weights)` : `the same in each of ${r.layers} layers (steps with weights are blue)`, { "text-anchor": "middle", "font-size": 12, fill: "var(--fig-muted)" });
      svg.text(1, 84, `Step ${CHAPTER[state.step - 1]} · ${r.step.name}`, { "font-size": 16, "font-weight": "bold", fill: "var(--fig-ink)" });
      // Arrays as rectangles, sides on a logarithmic scale; heads are drawn as sheets behind each other.
      const side = (value) => 10 + (wide < 480 ? 4.6 : 7.2) * Math.log2(Math.max(1, value));
      const parts = [["in", r.step.input, "var(--fig-1)"], ["weight", r.step.weight, "var(--fig-3)"], ["out", r.step.output, "var(--fig-2)"]].filter(([, sizes]) => sizes);
      const gap = wide / parts.length, middle = 180;
      parts.forEach(([label, sizes, color], i) => {
        const [rows, columns] = sizes.length === 1 ? (label === "weight" ? [1, sizes[0]] : [sizes[0], 1]) : sizes.slice(-2);
        const w = Math.min(side(columns), gap - 40), h = Math.min(side(rows), 132), x = i * gap + (gap - w) / 2, y = middle - h / 2;
        for (let sheet = sizes.length === 3 ? 2 : 0; sheet >= 0; sheet -= 1) {
          svg.rect(x + 5 * sheet, y - 5 * sheet, w, h, { fill: "var(--fig-surface)", stroke: color, "stroke-width": 2 });
        }
        svg.text(i * gap + gap / 2, middle + 88, label, { "text-anchor": "middle", "font-size": 12, fill: "var(--fig-muted)" });
        svg.text(i * gap + gap / 2, middle + 105, shape(sizes), { "text-anchor": "middle", "font-size": wide < 480 ? 11 : 13, fill: "var(--fig-ink)" });
        if (i > 0) svg.text(i * gap, middle + 5, label === "weight" ? "×" : "→", { "text-anchor": "middle", "font-size": 18, fill: "var(--fig-ink)" });
      });
    },
    say(r, state) {
      const s = r.step;
      const where = s.layer ? `once in each of ${r.layers} layers` : "once";
      const bytes = Figure.bytes(2 * s.output.reduce((a, b) => a * b, 1));
      const cost = [s.params ? `${large(s.params)} parameters` : "no parameters", s.flops ? `${large(s.flops)} FLOPs` : "no matrix product"].join(", ");
      return `${s.name} (${where}): ${shape(s.input)}${s.weight ? ` with a weight ${shape(s.weight)}` : ""} gives ${shape(s.output)}, ${bytes} in 16 bits; ${cost}. ${s.why} ` +
        `The whole pass: ${Figure.count(r.params)} parameters, ${large(r.flops)} FLOPs for ${Figure.count(state.tokens)} tokens.`;
    },
    table(r) {
      return {
        head: ["step", "in", "weight", "out", "parameters", "FLOPs"], caption: `All steps; those of a layer run ${r.layers} times`,
        rows: r.steps.map((s, i) => [`${CHAPTER[i]} · ${s.name}`, shape(s.input), s.weight ? shape(s.weight) : "", shape(s.output), Figure.count(s.params), Figure.count(s.flops)]),
      };
    },
  });
})();
