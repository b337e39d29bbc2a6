// One text under a grammar, token by token: how many of the vocabulary's tokens the mask leaves in each place, and what the
// grammar forces. Recorded by tools/record_structured.py with the engine's own automaton and the real vocabulary.
(function () {
  "use strict";
  const walk = ((window.figureData || {}).structured || {}).walk || { vocab: 2, num_nodes: 1, steps: [] };
  const steps = walk.steps;
  const visible = (piece) => piece.replaceAll("\n", "↵").replaceAll(" ", "·");

  Figure.define("grammar-walk", {
    title: "Which tokens may come next?",
    controls: {
      place: { kind: "range", label: "Token", min: 1, max: Math.max(1, steps.length), value: 1 },
    },
    compute(state) {
      const step = steps[state.place - 1] || { token: "", num_allowed: 1, some: [], forced: "" };
      return {
        before: steps.slice(0, state.place - 1).map((each) => each.token).join(""),
        token: step.token, num_allowed: step.num_allowed, some: step.some, forced: step.forced,
        share: step.num_allowed / walk.vocab,
      };
    },
    height: 250,
    draw(result, state, svg) {
      const left = 8, right = svg.width - 8, low = svg.height - 96;
      const width = (right - left) / Math.max(1, steps.length);
      const high = Math.log10(walk.vocab);
      svg.text(left, 14, `tokens allowed in each place, of ${Figure.count(walk.vocab)}`, { fill: "var(--fig-ink)", "font-size": 12 });
      steps.forEach((step, i) => {
        const tall = Math.max(3, (low - 24) * (Math.log10(step.num_allowed) / high));
        const here = i === state.place - 1;
        svg.rect(left + i * width + 1, low - tall, width - 2, tall, { fill: here ? "var(--fig-2)" : "var(--fig-1)" });
        if (here) svg.text(Math.min(right - 40, left + i * width), low - tall - 4, Figure.count(step.num_allowed), { fill: "var(--fig-ink)", "font-size": 13 });
      });
      const most = svg.width < 480 ? 38 : 72;
      const written = visible(result.before), start = Math.max(0, written.length - most);
      svg.text(left, low + 22, `written: ${start ? "…" : ""}${written.slice(start) || "nothing yet"}`, { fill: "var(--fig-ink)", "font-size": 13 });
      svg.text(left, low + 44, `comes: ${visible(result.token)}`, { fill: "var(--fig-ink)", "font-size": 13 });
      let shown = "";
      for (const piece of result.some) {
        if (`${shown}  ${visible(piece)}`.length > most) break;
        shown += `${shown ? "   " : ""}${visible(piece)}`;
      }
      svg.text(left, low + 66, `allowed: ${shown}${result.some.length < result.num_allowed ? " …" : ""}`, { fill: "var(--fig-ink)", "font-size": 13 });
      svg.text(left, low + 88, `forced: ${visible(result.forced) || "nothing"}`, { fill: "var(--fig-ink)", "font-size": 13 });
    },
    say(result) {
      const forced = result.forced ? `The bytes ${visible(result.forced)} are forced.` : "No byte is forced.";
      return `${Figure.count(result.num_allowed)} of ${Figure.count(walk.vocab)} tokens may come next. ${forced}`;
    },
    table() {
      return { head: ["token", "allowed"], rows: steps.map((step) => [visible(step.token), Figure.count(step.num_allowed)]), caption: "The text, token by token" };
    },
  });
})();
