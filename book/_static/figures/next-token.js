// How the real model cuts a prompt into tokens, and what temperature, top-k, top-p and min-p do to its next token.
// The logits are recorded (tools/record_real_model.py): the largest 256 one by one, the rest as counts per 0.1 of logit.
// The filters are those of mini_engine/sampler.py, in its order; tests/test_basics_figures.py compares the two.
(function () {
  "use strict";
  const prompts = ((window.figureData || {}).next_token || { prompts: [] }).prompts;
  const SHOWN = 12;

  const visible = (piece) => piece.replaceAll("\n", "↵").replaceAll(" ", "·");
  const percent = (p) => (p > 0 && p < 0.001 ? "< 0.1%" : `${(100 * p).toFixed(1)}%`);

  // Groups of equally likely tokens, likeliest first: [logit, how many].
  const groups = (prompt) => {
    const { low, width, counts } = prompt.rest;
    const rest = counts.map((count, i) => [low + (i + 0.5) * width, count]).filter(([, count]) => count > 0).reverse();
    return prompt.top.map(([, logit]) => [logit, 1]).concat(rest);
  };

  // What each filter leaves of the groups; all take scaled logits and return groups with smaller counts.
  const topK = (list, k) => {
    if (k === 0) return list;
    let seen = 0, threshold = -Infinity;
    for (const [logit, count] of list) {
      seen += count;
      if (seen >= k) { threshold = logit; break; }
    }
    return list.map(([logit, count]) => [logit, logit >= threshold ? count : 0]);
  };
  const topP = (list, p) => {
    if (p >= 1) return list;
    const top = Math.max(...list.filter(([, count]) => count > 0).map(([logit]) => logit));
    const total = list.reduce((sum, [logit, count]) => sum + count * Math.exp(logit - top), 0);
    let before = 0;
    return list.map(([logit, count], i) => {
      const each = Math.exp(logit - top) / total;
      const room = before < p ? Math.ceil((p - before) / each) : 0;
      before += count * each;
      return [logit, Math.min(count, i === 0 ? Math.max(1, room) : room)];
    });
  };
  const minP = (list, fraction) => (fraction === 0 ? list : list.map(([logit, count]) => [logit, logit < list[0][0] + Math.log(fraction) ? 0 : count]));

  const laws = (list) => {
    const top = list[0][0];
    const total = list.reduce((sum, [logit, count]) => sum + count * Math.exp(logit - top), 0);
    return list.map(([logit, count]) => (count > 0 ? Math.exp(logit - top) / total : 0));
  };

  Figure.define("next-token", {
    title: "Which token comes next?",
    controls: {
      prompt: { kind: "select", label: "Prompt", value: "0", options: Object.fromEntries(prompts.map((prompt, i) => [String(i), visible(prompt.text)])) },
      temperature: { kind: "range", label: "Temperature", min: 0, max: 2, step: 0.1, value: 1, format: (v) => v.toFixed(1) },
      top_k: { kind: "range", label: "Top-k", steps: [0, 200, 100, 50, 20, 10, 5, 3, 2, 1], value: 0, format: (v) => (v === 0 ? "off" : String(v)) },
      top_p: { kind: "range", label: "Top-p", steps: [1, 0.99, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.3, 0.1], value: 1, format: (v) => (v === 1 ? "off" : String(v)) },
      min_p: { kind: "range", label: "Min-p", steps: [0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5], value: 0, format: (v) => (v === 0 ? "off" : String(v)) },
    },
    compute(state) {
      const prompt = prompts[Number(state.prompt)];
      const all = groups(prompt);
      const plain = laws(all);
      const greedy = state.temperature < 1e-9;
      const scaled = all.map(([logit, count]) => [greedy ? logit : logit / state.temperature, count]);
      const kept = greedy ? scaled.map(([logit], i) => [logit, i === 0 ? 1 : 0]) : minP(topP(topK(scaled, state.top_k), state.top_p), state.min_p);
      const after = laws(kept);
      const rows = prompt.top.slice(0, SHOWN).map(([piece], i) => ({ piece, plain: plain[i], after: after[i] }));
      const bits = -kept.reduce((sum, [, count], i) => sum + (count > 0 ? count * after[i] * Math.log2(after[i]) : 0), 0);
      return {
        rows, pieces: prompt.pieces, ids: prompt.ids, probabilities: after.slice(0, prompt.top.length),
        num_kept: kept.reduce((sum, [, count]) => sum + count, 0),
        num_tokens: all.reduce((sum, [, count]) => sum + count, 0),
        others: 1 - rows.reduce((sum, row) => sum + row.after, 0), bits: Math.max(0, bits),
      };
    },
    height: (r, state, width) => place(r, width).height + 26 * SHOWN + 44,
    draw(r, state, svg) {
      const boxes = place(r, svg.width);
      for (const box of boxes.list) {
        svg.rect(box.x, box.y, box.width, 24, { fill: "var(--fig-surface)", stroke: "var(--fig-1)", rx: 3 });
        svg.text(box.x + box.width / 2, box.y + 17, visible(box.piece), { "text-anchor": "middle", "font-family": "monospace", fill: "var(--fig-ink)" });
        svg.text(box.x + box.width / 2, box.y + 38, box.id, { "text-anchor": "middle", "font-size": 11, fill: "var(--fig-muted)" });
      }
      const left = svg.width < 480 ? 96 : 120, right = svg.width - 62, top = boxes.height + 22;
      svg.text(0, top - 8, "next token", { "font-size": 12, fill: "var(--fig-muted)" });
      svg.text(left, top - 8, "probability (outline: before the sliders)", { "font-size": 12, fill: "var(--fig-muted)" });
      r.rows.forEach((row, i) => {
        const y = top + 26 * i, gone = row.after === 0;
        svg.text(left - 8, y + 15, visible(row.piece), { "text-anchor": "end", "font-family": "monospace", fill: gone ? "var(--fig-muted)" : "var(--fig-ink)", "text-decoration": gone ? "line-through" : null });
        svg.rect(left, y + 2, (right - left) * row.after, 18, { fill: "var(--fig-1)" });
        svg.rect(left, y + 2, (right - left) * row.plain, 18, { fill: "none", stroke: "var(--fig-ink)", "stroke-width": 1 });
        svg.text(svg.width, y + 15, gone ? "removed" : percent(row.after), { "text-anchor": "end", fill: gone ? "var(--fig-muted)" : "var(--fig-ink)" });
      });
      svg.text(left, top + 26 * SHOWN + 14, `all others together: ${percent(Math.max(0, r.others))}`, { "font-size": 12, fill: "var(--fig-muted)" });
    },
    say(r) {
      const first = r.rows[0];
      return `The prompt is ${r.pieces.length} tokens. ${Figure.count(r.num_kept)} of ${Figure.count(r.num_tokens)} tokens can come next; ` +
        `the likeliest is "${visible(first.piece)}" with ${percent(first.after)}. The choice is worth ${r.bits.toFixed(2)} bits.`;
    },
    table(r) {
      return {
        head: ["token", "before", "after"], caption: "The likeliest tokens, before and after the sliders",
        rows: r.rows.map((row) => [visible(row.piece), percent(row.plain), row.after === 0 ? "removed" : percent(row.after)]),
      };
    },
  });

  // Where the boxes of the prompt's tokens go, in rows that fit the width.
  function place(r, width) {
    const list = [];
    let x = 1, y = 2;
    r.pieces.forEach((piece, i) => {
      const wide = Math.max(34, 8 * piece.length + 14);
      if (x + wide > width - 1) { x = 1; y += 48; }
      list.push({ piece, id: String(r.ids[i]), x, y, width: wide });
      x += wide + 4;
    });
    return { list, height: y + 48 };
  }
})();
