// The K and V rows of one head, pass by pass, with and without a cache. The counts are tokens_processed of
// mini_engine/accounting.py; tests/test_kv_grid_figure.py compares them, and the rows with the engine's own cache.
(function () {
  "use strict";
  const WORDS = ["Why", "there", "is", "always", "so", "much", "to", "learn", "?", "The", "world", "keeps", "changing", "."];
  const DONE = WORDS.length, ROW = 21;

  // Pass number p (1 is prefill): which rows are kept from before, which are computed, which are still empty.
  const passAt = (prompt, pass, cached) => {
    const held = pass === 0 ? 0 : prompt + pass - 1;
    const from = pass <= 1 || !cached ? 0 : held - 1;
    return { held, computed: pass === 0 ? 0 : held - from, kept: from };
  };

  const total = (prompt, pass, cached) => {
    let sum = 0;
    for (let p = 1; p <= pass; p += 1) sum += passAt(prompt, p, cached).computed;
    return sum;
  };

  const last = (state) => DONE - state.prompt + 1;

  Figure.define("kv-grid", {
    title: "A cache fills: prefill writes many rows at once, decode adds one",
    controls: {
      prompt: { kind: "range", label: "Prompt tokens", min: 1, max: 9, value: 5 },
      pass: { kind: "range", label: "Pass", min: 0, max: DONE, value: 3, format: (p) => (p === 0 ? "not started" : p === 1 ? "1 (prefill)" : `${p} (decode)`) },
      cached: { kind: "check", label: "Keep K and V (a cache)", value: true },
    },
    play: {
      of: "pass",
      most: (r, state) => last(state),
      at: (x, y, r, state) => Math.floor((y - 28) / ROW) - state.prompt + 2,
    },
    changed(name, state) { state.pass = Math.min(state.pass, last(state)); },
    compute(state) {
      const { prompt, pass, cached } = state;
      return { ...passAt(prompt, pass, cached), prompt, pass, total: total(prompt, pass, cached), other: total(prompt, pass, !cached) };
    },
    height: 46 + ROW * DONE + 12,
    draw(r, state, svg) {
      const narrow = svg.width < 500;
      const cell = narrow ? 17 : 22, left = narrow ? 84 : 130, gap = narrow ? 26 : 60, rows = ROW;
      const second = left + 4 * cell + gap;
      const ink = { fill: "var(--fig-ink)", "font-size": 13 }, muted = { fill: "var(--fig-muted)", "font-size": 12 };
      svg.text(left - 8, 18, "token", { ...muted, "text-anchor": "end" });
      svg.text(left + 2 * cell, 18, "K", { ...ink, "text-anchor": "middle", "font-weight": 700 });
      svg.text(second + 2 * cell, 18, "V", { ...ink, "text-anchor": "middle", "font-weight": 700 });
      WORDS.forEach((word, i) => {
        const y = 28 + i * rows, known = i < r.held || (r.pass === 0 && i < r.prompt);
        const fresh = i >= r.kept && i < r.held;
        if (known) svg.text(left - 8, y + 14, word, { ...ink, "text-anchor": "end", "font-weight": fresh ? 700 : 400 });
        for (const x of [left, second]) {
          for (let j = 0; j < 4; j += 1) {
            const fill = i >= r.held ? "var(--fig-surface)" : fresh ? "var(--fig-2)" : "var(--fig-1)";
            svg.rect(x + j * cell, y, cell - 2, rows - 3, { fill, stroke: "var(--fig-line)", "fill-opacity": i >= r.held ? 1 : fresh ? 1 : 0.45 });
          }
        }
        const note = fresh ? "computed now" : i < r.held ? "kept" : "";
        svg.text(second + 4 * cell + 8, y + 14, note, fresh ? ink : muted);
      });
      if (r.pass > 0) {
        const y = 28 + (r.held - 1) * rows + 9;
        // the newest query is compared with every key above it and itself
        svg.path(`M${left + 4 * cell + 4} ${y}H${left + 4 * cell + gap / 2}V${28 + 4}`, { stroke: "var(--fig-4)" });
        for (let i = 0; i < r.held; i += 1) svg.line(left + 4 * cell + 2, 28 + i * rows + 9, left + 4 * cell + gap / 2, 28 + i * rows + 9, { stroke: "var(--fig-4)" });
      }
      svg.text(left, 28 + DONE * rows + 16, r.pass ? `q of “${WORDS[r.held - 1]}” meets ${r.held} ${r.held === 1 ? "key" : "keys"}` : "nothing computed yet", { ...ink, fill: "var(--fig-4)" });
    },
    say(r, state) {
      if (r.pass === 0) return `Nothing is computed yet. The prompt has ${r.prompt} ${r.prompt === 1 ? "token" : "tokens"}; press Step or Play.`;
      const phase = r.pass === 1 ? "prefill" : "decode";
      const rows = (n) => `${n} ${n === 1 ? "row" : "rows"}`;
      const work = state.cached
        ? `${rows(r.computed)} of K and V computed, ${rows(r.kept)} read from the cache`
        : `${rows(r.computed)} computed, ${r.pass === 1 ? "none of them before" : `${r.held - 1} of them for the second time or more`}`;
      return `Pass ${r.pass}, ${phase}: ${work}. So far ${r.total} tokens went through the model; ${state.cached ? "without" : "with"} a cache it would be ${r.other}.`;
    },
    table(r, state) {
      const rows = [];
      for (let p = 1; p <= r.pass; p += 1) {
        const now = passAt(r.prompt, p, state.cached);
        rows.push([`${p} (${p === 1 ? "prefill" : "decode"})`, String(now.computed), String(now.kept), String(now.held)]);
      }
      return { head: ["pass", "rows computed", "rows kept", "rows attended to"], rows, caption: "Rows of K and V in each pass" };
    },
  });
})();
