// Where a router sends a trace, request by request: who has the beginning, and who has least to do.
// The rule is Router.choose and route_trace of mini_engine/fleet; tests/test_fleet_figure.py compares every number.
(function () {
  "use strict";
  const traces = (window.figureData && window.figureData.traces) || {};
  const OPEN = 12; // a request ends when so many later ones have begun

  // One replica: the blocks it is thought to keep, least recently sent first (a Map keeps the order), and its work.
  const replica = () => ({ known: new Map(), load: 0, sent: 0, computed: 0, found: 0 });
  const overlap = (one, blocks) => {
    const missing = blocks.findIndex((block) => !one.known.has(block));
    return missing < 0 ? blocks.length : missing;
  };
  const cost = (one, blocks, state) => {
    if (state.policy === "turns") return 0;
    return one.load + (state.policy === "prefix" ? state.weight * (blocks.length - overlap(one, blocks)) : 0);
  };
  const send = (one, blocks, most) => {
    const found = overlap(one, blocks);
    for (const block of [...blocks].reverse()) {
      one.known.delete(block);
      one.known.set(block, true);
    }
    while (one.known.size > most) one.known.delete(one.known.keys().next().value);
    one.load += Math.max(1, blocks.length);
    one.sent += 1;
    one.found += found;
    one.computed += blocks.length - found;
  };

  Figure.define("fleet-router", {
    title: "Who gets the request?",
    controls: {
      trace: { kind: "select", label: "Trace", value: "chat", options: { chat: "chat: 20 conversations of 6 turns", agent: "agent: 10 tasks of 12 steps, long instructions", reasoning: "reasoning: 120 prompts of their own" } },
      policy: { kind: "select", label: "Policy", value: "prefix", options: { prefix: "prefixes and load", load: "load alone", turns: "in turns" } },
      weight: { kind: "range", label: "Weight of a block to compute", steps: [0, 1, 2, 4, 8, 16, 64, 1000], value: 4 },
      replicas: { kind: "range", label: "Replicas", min: 1, max: 8, step: 1, value: 4 },
      room: { kind: "range", label: "Blocks each can keep", steps: [50, 100, 150, 300, 1000, 4000], value: 4000 },
    },
    compute(state) {
      const requests = traces[state.trace] || [];
      const all = Array.from({ length: state.replicas }, replica), chosen = [];
      requests.forEach((blocks, i) => {
        if (i >= OPEN) chosen[i - OPEN].load -= Math.max(1, requests[i - OPEN].length);
        let best = all[0];
        for (const one of all) {
          const a = cost(one, blocks, state), b = cost(best, blocks, state);
          if (a < b || (a === b && one.sent < best.sent)) best = one;
        }
        send(best, blocks, state.room);
        chosen.push(best);
      });
      const computed = all.map((one) => one.computed), found = all.map((one) => one.found);
      const sum = (list) => list.reduce((a, b) => a + b, 0);
      const total = sum(computed) + sum(found);
      const busiest = Math.max(...all.map((one) => one.computed + one.found));
      return { computed, found, sent: all.map((one) => one.sent), total, share: total ? sum(found) / total : 0, skew: total ? (busiest * state.replicas) / total : 1 };
    },
    height: 28 * 8 + 34,
    draw(result, state, svg) {
      const left = 76, right = svg.width - 8;
      const most = Math.max(1, ...result.computed.map((n, i) => n + result.found[i]));
      const wide = (n) => ((right - left) * n) / most;
      result.computed.forEach((n, i) => {
        const y = 4 + 28 * i;
        svg.text(0, y + 15, `replica ${i}`, { fill: "var(--fig-ink)", "font-size": 13 });
        if (n) svg.rect(left, y, Math.max(1, wide(n)), 20, { fill: "var(--fig-2)" });
        if (result.found[i]) svg.rect(left + wide(n), y, Math.max(1, wide(result.found[i])), 20, { fill: "var(--fig-1)" });
      });
      const y = 4 + 28 * 8;
      svg.rect(left, y + 6, 12, 12, { fill: "var(--fig-2)" });
      svg.text(left + 17, y + 17, "computed", { fill: "var(--fig-ink)", "font-size": 13 });
      svg.rect(left + 96, y + 6, 12, 12, { fill: "var(--fig-1)" });
      svg.text(left + 113, y + 17, "found in the cache", { fill: "var(--fig-ink)", "font-size": 13 });
    },
    say(result, state) {
      const share = Figure.digits(100 * result.share, 2), skew = Figure.digits(result.skew, 3);
      const many = state.replicas > 1 ? ` The busiest replica gets ${skew} times the mean.` : "";
      return `${share}% of the prompts' blocks are found in a cache.${many}`;
    },
    table(result) {
      const rows = result.computed.map((n, i) => [`replica ${i}`, result.sent[i], n, result.found[i]]);
      return { head: ["", "requests", "blocks computed", "blocks found"], rows, caption: "What each replica gets" };
    },
  });
})();
