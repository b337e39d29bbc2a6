// Static batching, continuous batching and chunked prefill on one workload. The rules are those of Scheduler.step in
// mini_engine/scheduler.py with memory for everybody, run as mini_engine/trace.py runs it; tests/test_simulators.py
// compares every step and every token time on random workloads.
(function () {
  "use strict";
  const PRESETS = {
    mixed: "0:4:14, 0:4:3, 3:30:4, 20:4:6, 40:4:8, 60:6:3",
    document: "0:4:24, 0:4:20, 40:60:3, 60:4:6",
    burst: "0:6:3, 0:6:12, 0:6:2, 0:6:7, 0:6:3, 0:6:9",
    equal: "0:4:8, 0:4:8, 0:4:8, 0:4:8",
  };
  const MOST = 12;

  // "arrival:prompt:output, …" as a list of numbers, or a sentence that says what is wrong.
  function parse(text) {
    const parts = text.split(/[,;\n]/).map((part) => part.trim()).filter(Boolean);
    if (!parts.length) return "Type at least one request, as arrival:prompt:output.";
    if (parts.length > MOST) return `At most ${MOST} requests, so that they can be told apart.`;
    const requests = [];
    for (const part of parts) {
      const found = /^(\d{1,4})\s*:\s*(\d{1,3})\s*:\s*(\d{1,3})$/.exec(part);
      if (!found) return `“${part}” is not arrival:prompt:output, three whole numbers.`;
      const [arrival, prompt, output] = found.slice(1).map(Number);
      if (prompt < 1 || output < 1) return `“${part}”: a prompt and an output have at least one token.`;
      requests.push({ arrival, prompt, output });
    }
    return requests;
  }

  // One step: rows [sequence, new tokens]; joining sequences move from waiting to running.
  function schedule(waiting, running, places, budget, isStatic) {
    const rows = [];
    let left = budget;
    const feed = (seq) => {
      const count = Math.min(seq.tokens - seq.computed, left);
      if (count > 0) { rows.push([seq, count]); left -= count; }
    };
    const isDecode = (seq) => seq.tokens - seq.computed === 1;
    const door = isStatic && running.length > 0;
    running.filter(isDecode).forEach(feed);
    running.filter((seq) => !isDecode(seq)).forEach(feed);
    while (!door && waiting.length && running.length < places && left > 0) {
      running.push(waiting.shift());
      feed(running[running.length - 1]);
    }
    return rows;
  }

  // A workload to its end. A step of n tokens takes max(flat, n) units of time.
  function simulate(requests, places, budget, flat, isStatic) {
    const sequences = requests.map((r, id) => ({ id, arrival: r.arrival, tokens: r.prompt, computed: 0, left: r.output, times: [] }));
    const pending = [...sequences].sort((a, b) => a.arrival - b.arrival || a.id - b.id);
    const waiting = [], steps = [];
    let running = [], now = 0;
    while (pending.length || waiting.length || running.length) {
      if (!waiting.length && !running.length) now = Math.max(now, pending[0].arrival);
      while (pending.length && pending[0].arrival <= now) waiting.push(pending.shift());
      const rows = schedule(waiting, running, places, budget, isStatic);
      const end = now + Math.max(flat, rows.reduce((sum, [, count]) => sum + count, 0));
      steps.push({ start: now, end, rows: rows.map(([seq, count]) => [seq.id, count, seq.tokens - seq.computed > 1 || !seq.times.length]) });
      now = end;
      for (const [seq, count] of rows) {
        seq.computed += count;
        if (seq.computed < seq.tokens) continue;
        seq.tokens += 1;
        seq.left -= 1;
        seq.times.push(now);
      }
      running = running.filter((seq) => seq.left);
    }
    const gaps = sequences.flatMap(({ times }) => times.slice(1).map((time, i) => time - times[i]));
    const first = sequences.map((seq) => seq.times[0] - seq.arrival);
    const held = steps.reduce((sum, step) => sum + step.rows.length * (step.end - step.start), 0);
    return {
      steps, times: sequences.map((seq) => seq.times), end: now,
      used: held / (places * now),
      longest_gap: Math.max(0, ...gaps),
      mean_ttft: first.reduce((sum, n) => sum + n, 0) / first.length,
      last_ttft: Math.max(...first),
    };
  }

  // Which place a request holds: the lowest free one when it joins, until its last token.
  function placesOf(run) {
    const place = {}, ends = run.times.map((times) => times[times.length - 1]);
    for (const step of run.steps) {
      for (const [id] of step.rows) {
        if (id in place) continue;
        const taken = new Set(Object.keys(place).filter((other) => ends[other] > step.start).map((other) => place[other]));
        place[id] = 0;
        while (taken.has(place[id])) place[id] += 1;
      }
    }
    return place;
  }

  // The moments at which something changes in one of the runs, as parts of the longest, in percent.
  const moments = (r) => [...new Set(NAMES.flatMap(([key]) => r[key].steps.map((step) => (100 * step.end) / r.most)))].sort((a, b) => a - b);
  const after = (r, value, by) => (by > 0 ? moments(r).find((m) => m > value + 1e-9) : moments(r).findLast((m) => m < value - 1e-9)) ?? (by > 0 ? 100 : 0);

  const NAMES = [["static", "Static batch"], ["continuous", "Continuous, whole prompts"], ["chunked", "Continuous, chunked prefill"]];
  const doneBy = (run, now) => run.times.filter((times) => times[times.length - 1] <= now + 1e-9).length;
  const tokensOut = (run, now) => run.times.flat().filter((time) => time <= now + 1e-9).length;
  const letter = (id) => String.fromCharCode(97 + id);
  const units = (n) => Figure.digits(n, 3);
  const ROW = 18;

  Figure.define("batching", {
    title: "Who computes what, and who waits?",
    controls: {
      preset: { kind: "select", label: "Workload", value: "mixed", options: { mixed: "mixed lengths", document: "somebody pastes a document", burst: "a burst", equal: "all alike", custom: "your own" } },
      requests: { kind: "text", label: "Requests (arrival:prompt:output)", value: PRESETS.mixed },
      places: { kind: "range", label: "Slots", min: 1, max: 6, value: 3 },
      budget: { kind: "range", label: "Token budget of a chunked step", min: 1, max: 64, value: 12 },
      flat: { kind: "range", label: "Tokens that a step computes in its least time", min: 1, max: 32, value: 8 },
      until: { kind: "range", label: "Shown until", min: 0, max: 100, step: "any", value: 100, format: (n) => (n >= 100 ? "the end" : `${Math.round(n)}%`) },
    },
    play: {
      of: "until", axis: "x", ms: 350, most: () => 100,
      next: (value, by, r) => (r.valid ? after(r, value, by) : value),
      at: (x, y, r, state, width) => Math.round((100 * x) / (width - 2)),
    },
    changed(name, state) {
      if (name === "preset" && PRESETS[state.preset]) state.requests = PRESETS[state.preset];
      if (name === "requests") state.preset = Object.keys(PRESETS).find((key) => PRESETS[key] === state.requests) || "custom";
    },
    compute({ requests: text, places, budget, flat, until }) {
      const requests = parse(text);
      if (typeof requests === "string") return { valid: false, problem: requests };
      const runs = {
        static: simulate(requests, places, Infinity, flat, true),
        continuous: simulate(requests, places, Infinity, flat, false),
        chunked: simulate(requests, places, Math.max(budget, places), flat, false),
      };
      const most = Math.max(...Object.values(runs).map((run) => run.end));
      return { valid: true, requests, budget: Math.max(budget, places), most, now: (most * (until ?? 100)) / 100, ...runs };
    },
    height: (r, state) => (r.valid ? 3 * (ROW * state.places + 44) + 8 : 40),
    draw(r, state, svg) {
      if (!r.valid) { svg.text(0, 24, "No picture for this workload.", { fill: "var(--fig-muted)" }); return; }
      const x = (time) => (time * (svg.width - 2)) / r.most;
      NAMES.forEach(([key, title], panel) => {
        const run = r[key], place = placesOf(run), top = panel * (ROW * state.places + 44) + 20;
        const bottom = top + ROW * state.places;
        const facts = run.end > r.now ? `${tokensOut(run, r.now)} tokens out at ${units(r.now)}` : svg.width < 400 ? `${units(run.end)} units, gap ${units(run.longest_gap)}` : `done at ${units(run.end)}, longest gap ${units(run.longest_gap)}, first tokens after ${units(run.mean_ttft)} on average`;
        svg.text(0, top - 6, svg.width < 400 ? `${title.replace("Continuous, ", "")}: ${facts}` : `${title}: ${facts}`, { fill: "var(--fig-ink)" });
        svg.rect(0, top, x(Math.min(run.end, r.now)), bottom - top, { fill: "var(--fig-line)", opacity: 0.3 });
        for (const step of run.steps.filter(({ end }) => end <= r.now + 1e-9)) {
          for (const [id, count, isPrefill] of step.rows) {
            const width = x(step.end) - x(step.start), y = top + ROW * place[id];
            const fill = `var(--fig-${(id % 6) + 1})`;
            svg.rect(x(step.start) + 0.5, y + 1, width - 1, ROW - 2, { fill, opacity: isPrefill ? 1 : 0.4, rx: 1 });
            const long = `${letter(id)} ${count}`;
            const word = isPrefill && width > 7 * long.length + 3 ? long : letter(id);
            if (width > 9) {
              const ink = isPrefill ? "var(--fig-surface)" : "var(--fig-ink)";
              svg.text(x(step.start) + width / 2, y + 13, word, { "text-anchor": "middle", "font-size": 11, style: `fill: ${ink}` });
            }
          }
          svg.line(x(step.end), top, x(step.end), bottom, { "stroke-width": 0.5 });
        }
        if (r.now < r.most) svg.line(x(r.now), top - 2, x(r.now), bottom + 5, { stroke: "var(--fig-ink)" });
        r.requests.forEach(({ arrival }) => svg.line(x(arrival), bottom, x(arrival), bottom + 5, { stroke: "var(--fig-ink)" }));
        if (panel === 2) svg.text(0, bottom + 18, svg.width < 400 ? "solid: prompt · pale: decode · tick: arrival" : "solid: prompt tokens, with their number · pale: one token · empty: nobody · tick: arrival", { fill: "var(--fig-muted)", "font-size": 12 });
      });
    },
    say(r, state) {
      if (!r.valid) return r.problem;
      const held = state.budget < state.places ? ` (the budget is raised to ${state.places}: every slot may decode)` : "";
      if (r.now < r.most) return `${NAMES.map(([key, title]) => `${title}: ${tokensOut(r[key], r.now)} tokens and ${doneBy(r[key], r.now)} of ${r.requests.length} requests`).join("; ")}, at time ${units(r.now)}.${held}`;
      return NAMES.map(([key, title]) => `${title}: done at ${units(r[key].end)}, ${units(100 * r[key].used)}% of the slots used, longest gap ${units(r[key].longest_gap)}, first token after ${units(r[key].mean_ttft)} on average.`).join(" ") + held;
    },
    table(r) {
      if (!r.valid) return { head: ["request"], rows: [], caption: "Times by request" };
      const rows = r.requests.map(({ arrival, prompt, output }, id) => [
        letter(id), arrival, prompt, output,
        ...NAMES.flatMap(([key]) => [units(r[key].times[id][0] - arrival), units(r[key].times[id][output - 1] - arrival)]),
      ]);
      const head = ["request", "arrival", "prompt", "output", ...["static", "continuous", "chunked"].flatMap((name) => [`${name}: first token after`, `${name}: last token after`])];
      return { head, rows, caption: "Times by request" };
    },
  });
})();
