// TTFT, TPOT, percentiles and goodput of a table of requests that the reader may edit. The last token comes at
// TTFT + (n - 1) * TPOT (total_latency_ms in mini_engine/speed.py), percentiles interpolate as in
// mini_engine/bench/load_test.py, goodput is that of assignment 08; tests/test_latency_figure.py compares all three.
(function () {
  "use strict";

  // "sent TTFT TPOT tokens; …" -> one object per request, or null where a row is not four numbers that make sense.
  const parse = (text) => {
    const rows = text.split(";").map((row) => row.trim()).filter((row) => row);
    const requests = rows.map((row) => {
      const [sent, ttft, tpot, tokens, ...more] = row.split(/[\s,]+/).map(Number);
      const sound = [sent, ttft, tpot].every((n) => n >= 0 && n < 1e9) && Number.isInteger(tokens) && tokens > 0 && tokens < 1e9;
      return sound && !more.length ? { sent, ttft, tpot, tokens } : null;
    });
    return requests.length && !requests.includes(null) ? requests : null;
  };

  // Percentile with linear interpolation between the two nearest values.
  const percentile = (values, p) => {
    const sorted = [...values].sort((a, b) => a - b);
    const place = ((sorted.length - 1) * p) / 100;
    const low = Math.floor(place);
    return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (place - low);
  };
  const percentiles = (values) => (values.length ? { p50: percentile(values, 50), p95: percentile(values, 95), p99: percentile(values, 99) } : null);
  const ms = (value) => (value === 0 ? "0 s" : Figure.seconds(value / 1000));
  const verdict = (row) => (row.good ? "kept" : [row.late && "late", row.slow && "slow"].filter(Boolean).join(" and "));

  Figure.define("latency", {
    title: "How long did they wait?",
    controls: {
      requests: { kind: "text", label: "Requests, each: sent, TTFT, TPOT (in ms), tokens; a semicolon between two", value: "0 120 20 40; 50 180 22 25; 100 650 24 30; 300 150 60 20; 600 140 21 45; 900 2000 25 1" },
      ttft_slo: { kind: "range", label: "TTFT objective", min: 50, max: 5000, value: 500, scale: "log", format: ms },
      tpot_slo: { kind: "range", label: "TPOT objective", min: 5, max: 500, value: 50, scale: "log", format: ms },
    },
    compute(state) {
      const requests = parse(state.requests);
      if (!requests) return { valid: false, rows: [] };
      const rows = requests.map((request) => {
        const total = request.ttft + (request.tokens - 1) * request.tpot;
        const late = request.ttft > state.ttft_slo;
        const slow = request.tokens > 1 && request.tpot > state.tpot_slo;
        return { ...request, total, first: request.sent + request.ttft, last: request.sent + total, late, slow, good: !late && !slow };
      });
      const start = Math.min(...rows.map((row) => row.sent));
      const end = Math.max(...rows.map((row) => row.last));
      const num_good = rows.filter((row) => row.good).length;
      const perSecond = (n) => (end > start ? (1000 * n) / (end - start) : 0);
      return {
        valid: true, rows, num_good, start, end,
        throughput: perSecond(rows.length),
        goodput: perSecond(num_good),
        tokens_per_s: perSecond(rows.reduce((sum, row) => sum + row.tokens, 0)),
        ttft: percentiles(rows.map((row) => row.ttft)),
        tpot: percentiles(rows.filter((row) => row.tokens > 1).map((row) => row.tpot)),
        total: percentiles(rows.map((row) => row.total)),
      };
    },
    height: (r) => 62 + 24 * Math.max(1, r.rows.length),
    draw(r, state, svg) {
      if (!r.valid) return void svg.text(0, 24, "no table to draw", { fill: "var(--fig-muted)" });
      const left = 58, right = svg.width - 96;
      const x = (t) => left + ((right - left) * (t - r.start)) / Math.max(r.end - r.start, 1e-9);
      const fill = "var(--fig-ink)";
      r.rows.forEach((row, i) => {
        const y = 8 + 24 * i;
        svg.text(0, y + 13, `${Figure.count(row.tokens)} tok`, { fill: "var(--fig-muted)" });
        svg.line(x(row.sent), y + 9, x(row.first), y + 9, { stroke: "var(--fig-6)", "stroke-width": 3, "stroke-dasharray": "4 3" });
        svg.rect(x(row.first), y + 1, Math.max(3, x(row.last) - x(row.first)), 16, { fill: row.good ? "var(--fig-1)" : "var(--fig-surface)", stroke: "var(--fig-1)", "stroke-width": 2 });
        svg.text(right + 8, y + 13, verdict(row), { fill, "font-weight": row.good ? 400 : 700 });
      });
      const bottom = 12 + 24 * r.rows.length;
      svg.line(left, bottom, right, bottom, { stroke: "var(--fig-line)" });
      svg.text(left, bottom + 18, ms(r.start), { fill: "var(--fig-muted)" });
      svg.text(right, bottom + 18, ms(r.end), { fill: "var(--fig-muted)", "text-anchor": "end" });
      svg.text(left, bottom + 38, "dashed: waiting · box: streaming", { fill: "var(--fig-muted)", "font-size": 12 });
    },
    say(r) {
      if (!r.valid) return "Each request needs four numbers, sent, TTFT and TPOT in milliseconds and a whole number of tokens; a semicolon stands between two requests.";
      const rates = `${Figure.digits(r.throughput, 3)} requests per second, goodput ${Figure.digits(r.goodput, 3)}`;
      const tpot = r.tpot ? `; TPOT p50 ${ms(r.tpot.p50)}, p95 ${ms(r.tpot.p95)}` : "";
      return `${r.num_good} of ${r.rows.length} requests kept both objectives: throughput ${rates}. TTFT p50 ${ms(r.ttft.p50)}, p95 ${ms(r.ttft.p95)}${tpot}.`;
    },
    table(r) {
      const head = ["sent (ms)", "TTFT (ms)", "TPOT (ms)", "tokens", "last token after (ms)", "objectives"];
      const rows = r.rows.map((row) => [row.sent, row.ttft, row.tokens > 1 ? row.tpot : "–", row.tokens, Figure.digits(row.total, 6), verdict(row)]);
      return { head, rows, caption: "The requests" };
    },
  });
})();
