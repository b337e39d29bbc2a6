// Attention in tiles, step by step: queries by rows, keys by columns, one tile of scores in memory at a time, and the
// running maximum, sum and output of one query. tests/test_figures.py compares every step with a plain softmax.
(function () {
  "use strict";

  // Small whole numbers that a reader can follow, whose maximum rises on the way; the value of key j is j itself.
  const score = (query, key) => (6 * query + 5 * key + query * key + 3) % 8;

  // Where tile number `step` (1, 2, …) lies: queries by rows, all key blocks of a row before the next row.
  const tileAt = (step, blocks) => ({ row: Math.floor((step - 1) / blocks), column: (step - 1) % blocks });

  // The running softmax of one query after each key block up to `last`.
  const walk = (query, n, block, last) => {
    const steps = [];
    let largest = -Infinity, total = 0, out = 0;
    for (let column = 0; column <= last; column += 1) {
      const scores = [];
      for (let key = column * block; key < Math.min(n, (column + 1) * block); key += 1) scores.push(score(query, key));
      const next = Math.max(largest, ...scores);
      const shrink = Math.exp(largest - next);
      total *= shrink;
      out *= shrink;
      scores.forEach((s, i) => { total += Math.exp(s - next); out += Math.exp(s - next) * (column * block + i); });
      largest = next;
      steps.push({ scores, shrink, largest, total, out });
    }
    return steps;
  };

  Figure.define("flash-tiles", {
    title: "Attention in tiles",
    state: { step: 5 },
    controls: {
      n: { kind: "range", label: "Tokens", min: 2, max: 24, value: 12 },
      block: { kind: "range", label: "Rows and columns of a tile", min: 1, max: 12, value: 4 },
    },
    changed(name, state) { state.step = 1; },
    buttons: {
      "Next tile": (state, figure) => { state.step += 1; figure.update(); },
      "Back": (state, figure) => { state.step -= 1; figure.update(); },
      "Next row": (state, figure) => {
        const blocks = Math.ceil(state.n / state.block);
        state.step = (Math.floor((state.step - 1) / blocks) + 1) * blocks + 1;
        figure.update();
      },
      "Start over": (state, figure) => { state.step = 1; figure.update(); },
    },
    compute(state) {
      const { n } = state;
      const block = Math.min(state.block, n);
      const blocks = Math.ceil(n / block);
      const step = Math.min(Math.max(1, state.step), blocks * blocks);
      state.step = step;
      const tile = tileAt(step, blocks);
      const query = tile.row * block;
      const steps = walk(query, n, block, tile.column);
      const rows = Math.min(block, n - tile.row * block), columns = Math.min(block, n - tile.column * block);
      return {
        block, blocks, step, tiles: blocks * blocks, ...tile, query, steps,
        scores_in_tile: rows * columns,
        scores_in_all: n * n,
        done: tile.column === blocks - 1,
        output: steps[steps.length - 1].out / steps[steps.length - 1].total,
      };
    },
    height: (r, state, width) => (width < 480 ? 330 : 300),
    draw(r, state, svg) {
      const left = 28, top = 22;
      const size = Math.min(svg.height - top - 24, svg.width - left - 8);
      const cell = size / state.n;
      svg.text(left, 12, "keys →", { fill: "var(--fig-muted)" });
      svg.text(16, top + 4, "queries →", { fill: "var(--fig-muted)", transform: `rotate(90 16 ${top + 4})` });
      for (let row = 0; row < r.blocks; row += 1) {
        for (let column = 0; column < r.blocks; column += 1) {
          const number = row * r.blocks + column + 1;
          const now = number === r.step, seen = number < r.step;
          const w = Math.min(r.block, state.n - column * r.block) * cell, h = Math.min(r.block, state.n - row * r.block) * cell;
          const x = left + column * r.block * cell, y = top + row * r.block * cell;
          svg.rect(x + 1, y + 1, w - 2, h - 2, {
            fill: now ? "var(--fig-2)" : seen ? "var(--fig-1)" : "var(--fig-surface)",
            "fill-opacity": seen ? 0.35 : 1, stroke: now ? "var(--fig-ink)" : "var(--fig-line)", "stroke-width": now ? 2 : 1,
          });
          if (seen && Math.min(w, h) > 14) svg.text(x + w / 2, y + h / 2 + 4, "gone", { "text-anchor": "middle", "font-size": 11, fill: "var(--fig-ink)" });
          if (now && Math.min(w, h) > 14) svg.text(x + w / 2, y + h / 2 + 4, "now", { "text-anchor": "middle", "font-size": 12, "font-weight": "bold", style: "fill: var(--fig-surface)" });
        }
      }
      svg.line(left - 6, top + (r.query + 0.5) * cell, left - 1, top + (r.query + 0.5) * cell, { stroke: "var(--fig-ink)", "stroke-width": 3 });
      svg.text(left, top + size + 16, `${r.scores_in_tile} of ${r.scores_in_all} scores in memory`, { fill: "var(--fig-ink)" });
      if (svg.width < 480) return;
      const x = left + size + 28;
      const now = r.steps[r.steps.length - 1];
      const lines = [
        `query ${r.query}, after ${r.steps.length} of ${r.blocks} key blocks`, "",
        `scores of this block: ${now.scores.join(", ")}`,
        `what came before × ${Figure.digits(now.shrink, 3)}`,
        `largest score m = ${now.largest}`,
        `sum ℓ = ${Figure.digits(now.total, 4)}`,
        `weighted values o = ${Figure.digits(now.out, 4)}`,
        `${r.done ? "output" : "so far"} o / ℓ = ${Figure.digits(r.output, 4)}`,
      ];
      lines.forEach((line, i) => svg.text(x, top + 18 + 24 * i, line, { fill: i ? "var(--fig-ink)" : "var(--fig-muted)" }));
    },
    say(r) {
      const now = r.steps[r.steps.length - 1];
      return `Tile ${r.step} of ${r.tiles}: ${r.scores_in_tile} scores in memory instead of ${r.scores_in_all}. Query ${r.query} has met ${r.steps.length} of ${r.blocks} key blocks: largest score ${now.largest}, sum ${Figure.digits(now.total, 4)}, ${r.done ? "output" : "output so far"} ${Figure.digits(r.output, 4)}.`;
    },
    table(r) {
      const rows = r.steps.map((s, i) => [String(i + 1), s.scores.join(", "), Figure.digits(s.shrink, 4), String(s.largest), Figure.digits(s.total, 5), Figure.digits(s.out, 5), Figure.digits(s.out / s.total, 5)]);
      return { head: ["key block", "scores", "old × ", "m", "ℓ", "o", "o / ℓ"], rows, caption: `Query ${r.query}, key block by key block` };
    },
  });
})();
