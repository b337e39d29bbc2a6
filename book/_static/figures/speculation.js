// One speculative step, token by token. The arithmetic is that of speculative_step and draw in
// mini_engine/speculative.py; tests/test_speculation_figure.py compares them on random inputs.
(function () {
  "use strict";
  const WORDS = ["the", "a", "fox", "hen"];
  // the target's distribution at each of the four positions, and what a careless draft believes there
  const TARGET = [[0.5, 0.3, 0.15, 0.05], [0.05, 0.05, 0.6, 0.3], [0.35, 0.45, 0.1, 0.1], [0.1, 0.05, 0.25, 0.6]];
  const CARELESS = [[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.1, 0.2], [0.1, 0.1, 0.6, 0.2]];

  // mulberry32: a small seeded generator, so that a seed gives the same picture everywhere
  const generator = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };

  const sum = (row) => row.reduce((total, x) => total + x, 0);

  // The token at u of a law that need not sum to 1; never one of weight 0.
  const draw = (weights, u) => {
    const cumulative = [];
    weights.reduce((total, w, i) => (cumulative[i] = total + w), 0);
    const at = u * cumulative[cumulative.length - 1];
    const token = cumulative.findIndex((edge) => edge > at);
    const last = weights.findLastIndex((w) => w > 0);
    return token < 0 ? last : Math.min(token, last);
  };

  // p [k + 1][V], q [k][V], draft [k], random() -> what happened at each place, and the tokens that come out.
  const step = (p, q, draft, random) => {
    const places = [];
    for (let i = 0; i < draft.length; i += 1) {
      const token = draft[i];
      const u = random();
      const place = { token, u, chance: Math.min(1, p[i][token] / q[i][token]), alpha: sum(p[i].map((x, t) => Math.min(x, q[i][t]))) };
      place.kept = u * q[i][token] < p[i][token];
      places.push(place);
      if (place.kept) continue;
      const excess = p[i].map((x, t) => Math.max(x - q[i][t], 0));
      const weights = excess.some((x) => x > 0) ? excess : p[i];
      const last = { kind: "residual", row: i, law: weights.map((x) => x / sum(weights)), u: random() };
      last.token = draw(weights, last.u);
      return { places, last, output: [...draft.slice(0, i), last.token] };
    }
    const last = { kind: "bonus", row: draft.length, law: p[draft.length], u: random() };
    last.token = draw(last.law, last.u);
    return { places, last, output: [...draft, last.token] };
  };

  const made = (state) => {
    const share = state.difference / 100;
    let q = CARELESS.map((row, i) => row.map((x, t) => share * x + (1 - share) * TARGET[i][t]));
    if (state.certain) q = q.map((row) => row.map((x, t) => (t === row.indexOf(Math.max(...row)) ? 1 : 0)));
    const random = generator(state.seed);
    return { p: TARGET, q, draft: q.map((row) => draw(row, random())), random };
  };

  const fixed = (x) => x.toFixed(2);

  Figure.define("speculation", {
    title: "One speculative step",
    controls: {
      difference: { kind: "range", label: "How far the draft is from the target", min: 0, max: 100, step: 5, value: 50, format: (n) => `${n}%` },
      certain: { kind: "check", label: "a draft without chance (its likeliest token, with certainty)", value: false },
      seed: { kind: "range", label: "Chance (seed)", min: 1, max: 60, value: 7 },
      shown: { kind: "range", label: "Steps shown", min: 0, max: 4, value: 4 },
    },
    play: {
      of: "shown",
      most: (r) => r.places.length + (r.last.kind === "bonus"),
      at: (x, y) => Math.floor((y - 26) / 92) + 1,
    },
    buttons: {
      "Another draw": (state, figure) => { state.seed = (state.seed % 60) + 1; figure.update(); },
    },
    compute(state) {
      const given = state.p ? { p: state.p, q: state.q, draft: state.draft, random: (() => { let n = 0; return () => state.numbers[n++]; })() } : made(state);
      const { p, q, draft } = given;
      return { p, q, draft, ...step(p, q, draft, given.random) };
    },
    height: (r) => 34 + 92 * (r.places.length + 1),
    draw(r, state, svg) {
      const narrow = svg.width < 500;
      const barWidth = narrow ? 15 : 32;
      const group = 2 * barWidth + (narrow ? 12 : 34);
      const textAt = 4 * group + (narrow ? 4 : 16);
      svg.rect(0, 4, 12, 12, { fill: "var(--fig-2)" });
      svg.text(17, 15, "draft q", { fill: "var(--fig-ink)" });
      svg.rect(80, 4, 12, 12, { fill: "var(--fig-1)" });
      svg.text(97, 15, "target p", { fill: "var(--fig-ink)" });
      const bars = (y, laws, marked) => {
        WORDS.forEach((word, t) => {
          laws.forEach(([law, fill], j) => {
            const h = 46 * law[t];
            svg.rect(t * group + j * barWidth, y + 50 - h, barWidth - 2, h, { fill });
          });
          const strong = t === marked ? { "font-weight": 700, fill: "var(--fig-ink)" } : { fill: "var(--fig-muted)" };
          svg.text(t * group + barWidth - 1, y + 65, word, { "text-anchor": "middle", ...strong });
        });
        svg.line(0, y + 50, 4 * group - 8, y + 50);
      };
      const note = (y, lines) => lines.forEach((words, i) => svg.text(textAt, y + 16 + 18 * i, words, { fill: "var(--fig-ink)", "font-weight": i === lines.length - 1 ? 700 : 400 }));
      r.places.forEach((place, i) => {
        const y = 26 + 92 * i;
        bars(y, [[r.q[i], "var(--fig-2)"], [r.p[i], "var(--fig-1)"]], place.token);
        if (i >= state.shown) note(y, [`drafted: ${WORDS[place.token]}`]);
        else note(y, [`drafted: ${WORDS[place.token]}`, `min(1, p/q) = ${fixed(place.chance)}`, `u = ${fixed(place.u)}: ${place.kept ? "accepted" : "rejected"}`]);
      });
      if (state.shown <= r.places.length - 1) return;
      const y = 26 + 92 * r.places.length;
      const bonus = r.last.kind === "bonus";
      if (state.shown < r.places.length + bonus) return;
      bars(y, [[[0, 0, 0, 0], "none"], [r.last.law, bonus ? "var(--fig-1)" : "var(--fig-3)"]], r.last.token);
      note(y, [bonus ? "bonus, from p" : narrow ? "max(p − q, 0)" : "residual max(p − q, 0)", bonus ? "all were accepted" : "scaled to sum 1", `u = ${fixed(r.last.u)}: ${WORDS[r.last.token]}`]);
    },
    say(r, state) {
      const told = r.places.slice(0, state.shown).map((place) => `“${WORDS[place.token]}” is ${place.kept ? "accepted" : "rejected"} (chance ${fixed(place.chance)}, u = ${fixed(place.u)})`);
      const begin = told.length ? `${told.join("; ")}.` : `Drafted: “${r.draft.map((t) => WORDS[t]).join(" ")}”.`;
      if (state.shown < r.places.length + (r.last.kind === "bonus")) return begin;
      const how = r.last.kind === "bonus" ? "All drafts were accepted, so the target adds a bonus token" : "The residual gives the replacement";
      return `${begin} ${how}, “${WORDS[r.last.token]}”. Out come${r.output.length > 1 ? "" : "s"} ${r.output.length} token${r.output.length > 1 ? "s" : ""}: “${r.output.map((t) => WORDS[t]).join(" ")}”.`;
    },
    table(r) {
      const rows = r.q.flatMap((q, i) => WORDS.map((word, t) => {
        const excess = r.p[i].map((x, s) => Math.max(x - q[s], 0));
        const total = sum(excess);
        return [i + 1, word, fixed(q[t]), fixed(r.p[i][t]), fixed(Math.min(q[t], r.p[i][t])), total ? fixed(excess[t] / total) : "none"];
      }));
      return { head: ["draft", "token", "q", "p", "drafted and accepted", "residual"], rows, caption: "The distributions of each draft" };
    },
  });
})();
