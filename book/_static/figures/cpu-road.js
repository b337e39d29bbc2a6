// The road of chapter 13: recorded times of one product beside what the two-line model predicts for the bandwidth and the
// arithmetic that the reader sets. tests/test_cpu_lab.py compares the prediction with mini_engine.bench.cpu_road.
(function () {
  "use strict";
  const road = (window.figureData || {}).cpu_road || { product: { rows: [], ceilings: {} }, machine: {}, shape: [1, 1] };
  const rows = road.product.rows;
  const threads = String(Math.max(1, ...rows.map((row) => row.num_threads)));
  const all = road.product.ceilings[threads] || { bandwidth: 1e10, peak: 1e11 };
  const python = (road.product.ceilings.python || { peak: 1e7 }).peak;
  const size = road.shape[0] * road.shape[1];

  Figure.define("cpu-road", {
    title: "How far is each step from what the bytes allow?",
    controls: {
      steps: { kind: "range", label: "Steps of the road", min: 1, max: Math.max(1, rows.length), value: Math.max(1, rows.length) },
      bandwidth: { kind: "range", label: "Read bandwidth of all threads (GB/s)", min: 5, max: 500, value: Math.round(all.bandwidth / 1e9), scale: "log", format: (value) => Figure.digits(value, 3) },
      peak: { kind: "range", label: "Multiply-adds a second of all threads (G)", min: 5, max: 2000, value: Math.round(all.peak / 1e9), scale: "log", format: (value) => Figure.digits(value, 3) },
    },
    compute(state) {
      return rows.slice(0, state.steps).map((row) => {
        const measured = road.product.ceilings[String(row.num_threads)];
        const reading = row.num_bytes / (state.bandwidth * 1e9 * (measured.bandwidth / all.bandwidth));
        const rate = row.name === "Python loop" ? python : state.peak * 1e9 * (measured.peak / all.peak);
        const arithmetic = (size * row.num_rows) / rate;
        return { name: row.name, num_rows: row.num_rows, bytes: row.num_bytes, predicted: Math.max(reading, arithmetic), limit: reading >= arithmetic ? "reading" : "arithmetic", measured: row.seconds.min };
      });
    },
    height: (result) => 34 + 40 * result.length,
    draw(result, state, svg) {
      const narrow = svg.width < 480, left = narrow ? 8 : 190, right = svg.width - (narrow ? 74 : 84);
      const low = 1e-4, high = Math.max(10, ...result.map((row) => row.measured));
      const x = (seconds) => left + (right - left) * Math.max(0, Math.log10(seconds / low) / Math.log10(high / low));
      result.forEach((row, i) => {
        const y = 4 + 40 * i;
        if (narrow) svg.text(left, y + 10, row.name, { fill: "var(--fig-ink)", "font-size": 12 });
        else svg.text(left - 8, y + 20, row.name, { "text-anchor": "end", fill: "var(--fig-ink)", "font-size": 13 });
        const top = narrow ? y + 14 : y + 6;
        svg.rect(left, top, x(row.measured) - left, 9, { fill: "var(--fig-1)" });
        svg.rect(left, top + 11, x(row.predicted) - left, 9, { fill: "var(--fig-surface)", stroke: "var(--fig-2)", "stroke-width": 1.5 });
        svg.text(x(row.measured) + 6, top + 9, Figure.seconds(row.measured), { fill: "var(--fig-ink)", "font-size": 12 });
      });
      const y = svg.height - 16;
      svg.rect(left, y - 9, 14, 9, { fill: "var(--fig-1)" });
      svg.text(left + 20, y, "measured", { fill: "var(--fig-ink)", "font-size": 12 });
      svg.rect(left + 92, y - 9, 14, 9, { fill: "var(--fig-surface)", stroke: "var(--fig-2)", "stroke-width": 1.5 });
      svg.text(left + 112, y, narrow ? "predicted (log scale)" : "predicted (each step to the right is ten times as long)", { fill: "var(--fig-ink)", "font-size": 12 });
    },
    say(result) {
      const last = result[result.length - 1];
      return `${last.name}: predicted ${Figure.seconds(last.predicted)}, set by ${last.limit}; measured on the recorded machine ${Figure.seconds(last.measured)}, a share of ${Figure.digits((100 * last.predicted) / last.measured, 2)}%.`;
    },
    table(result) {
      return { head: ["step", "MB read", "rows", "predicted (ms)", "limit", "measured (ms)"], rows: result.map((row) => [row.name, Figure.digits(row.bytes / 1e6, 3), String(row.num_rows), Figure.digits(row.predicted * 1e3, 3), row.limit, Figure.digits(row.measured * 1e3, 3)]), caption: "One product of the road, step by step" };
    },
  });
})();
