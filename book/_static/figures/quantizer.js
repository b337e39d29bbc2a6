// A row of real weights, rounded. The arithmetic is that of mini_engine/quant/arrays.py, float32 and float16 included;
// tests/test_quantizer_figure.py compares them bit for bit.
(function () {
  "use strict";
  const row = ((window.figureData && window.figureData.weight_row) || { weights: [] }).weights;

  // Round half to even, as np.rint does.
  const rint = (x) => {
    const below = Math.floor(x), rest = x - below;
    if (rest !== 0.5) return Math.round(x);
    return below % 2 === 0 ? below : below + 1;
  };
  // The nearest float16 of a finite number within its range; below 2^-14 the steps no longer shrink.
  const half = (x) => {
    if (x === 0) return 0;
    const step = 2 ** (Math.max(Math.floor(Math.log2(Math.abs(x))), -14) - 10);
    return rint(x / step) * step;
  };
  const f32 = Math.fround;

  // One group: its integers, scale, minimum, and what comes back.
  function quantizeGroup(weights, bits, symmetric) {
    const low = Math.min(...weights), high = Math.max(...weights);
    const last = symmetric ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
    const least = symmetric ? -last : 0;
    const minimum = symmetric ? 0 : half(low);
    const scale = half(symmetric ? f32(Math.max(-low, high) / last) : f32(f32(high - low) / last));
    const divisor = scale === 0 ? 1 : scale;
    const q = weights.map((w) => Math.min(Math.max(rint(f32(f32(w - minimum) / divisor)), least), last));
    const stored = symmetric ? divisor : scale;
    return { q, scale: stored, minimum, back: q.map((n) => f32(f32(n * stored) + minimum)), least, last };
  }

  Figure.define("quantizer", {
    title: "What comes back when a real row of weights is rounded?",
    controls: {
      bits: { kind: "range", label: "Bits", min: 2, max: 8, value: 4 },
      group_size: { kind: "range", label: "Weights per scale", steps: [4, 8, 16, 32, 64, 128], value: 128 },
      symmetric: { kind: "check", label: "symmetric (no minimum stored)", value: true },
    },
    compute({ bits, group_size: size, symmetric, weights = row }) {
      const groups = [];
      for (let start = 0; start < weights.length; start += size) {
        groups.push(quantizeGroup(weights.slice(start, start + size), bits, symmetric));
      }
      const back = groups.flatMap((group) => group.back);
      const lost = weights.reduce((sum, w, i) => sum + (w - back[i]) ** 2, 0);
      const whole = weights.reduce((sum, w) => sum + w * w, 0);
      return {
        groups, back,
        error: whole ? Math.sqrt(lost / whole) : 0,
        zeros: groups.flatMap((group) => group.back).filter((w) => w === 0).length,
        bits_per_weight: bits + (symmetric ? 16 : 32) / size,
      };
    },
    height: 300,
    draw(r, state, svg) {
      const low = Math.min(...row) - 0.15, high = Math.max(...row) + 0.4;
      const left = 34, right = svg.width - 4, top = 22, bottom = svg.height - 24;
      const x = (i) => left + ((i + 0.5) * (right - left)) / row.length;
      const y = (w) => top + ((high - w) * (bottom - top)) / (high - low);
      r.groups.forEach((group, g) => {
        const from = x(g * state.group_size - 0.5), to = x((g + 1) * state.group_size - 0.5);
        if (g % 2) svg.rect(from, top, to - from, bottom - top, { fill: "var(--fig-line)", opacity: 0.35 });
        const levels = group.last - group.least + 1;
        if (levels * r.groups.length > 300) return;
        for (let n = group.least; n <= group.last; n += 1) {
          const level = y(n * group.scale + group.minimum);
          if (level > top && level < bottom) svg.line(from, level, to, level, { stroke: "var(--fig-muted)", "stroke-width": 0.6 });
        }
      });
      for (const w of [-3, -2, -1, 0, 1, 2, 3]) {
        if (w > low && w < high) svg.text(left - 6, y(w) + 4, String(w).replace("-", "−"), { fill: "var(--fig-muted)", "text-anchor": "end", "font-size": 12 });
      }
      row.forEach((w, i) => {
        svg.line(x(i), y(w), x(i), y(r.back[i]), { stroke: "var(--fig-2)", "stroke-width": 1.5 });
        svg.circle(x(i), y(w), 1.8, { fill: "var(--fig-1)" });
        const wing = Math.max(1.6, (right - left) / row.length / 2);
        svg.line(x(i) - wing, y(r.back[i]), x(i) + wing, y(r.back[i]), { stroke: "var(--fig-2)", "stroke-width": 2 });
      });
      const words = svg.width < 400 ? "dot: weight · dash: what comes back" : "dot: the weight · dash: what comes back · thin lines: the steps";
      svg.text(left, 13, words, { fill: "var(--fig-ink)" });
      svg.text(left, svg.height - 7, svg.width < 400 ? "128 inputs of one output; a band is a group" : "128 inputs of one output; each band is a group with a scale of its own", { fill: "var(--fig-muted)", "font-size": 12 });
    },
    say(r, state) {
      const form = state.symmetric ? "symmetric" : "with a minimum";
      const error = r.error === 0 ? "no error at all: this is the grid that the weights were stored on" : `an error of ${Figure.digits(100 * r.error, 3)}% of their size`;
      return `int${state.bits}, ${r.groups.length} group${r.groups.length > 1 ? "s" : ""} of ${state.group_size}, ${form}: ${Figure.digits(r.bits_per_weight, 4)} bits per weight, ${error}; ${r.zeros} of ${row.length} weights come back as 0.`;
    },
    table(r, state) {
      const rows = r.groups.map((group, g) => {
        const start = g * state.group_size;
        const lost = group.back.map((back, i) => Math.abs(back - row[start + i]));
        return [`${start}–${start + state.group_size - 1}`, Figure.digits(group.scale, 4), Figure.digits(group.minimum, 4).replace("-", "−"), Figure.digits(Math.max(...lost), 3)];
      });
      return { head: ["inputs", "scale", "minimum", "largest error"], rows, caption: "The groups" };
    },
  });
})();
