// Block tables under add, fork, end and evict. The rules are those of mini_engine/block_manager.py and prefix_cache.py
// with copy-on-write above them; tests/test_block_table_figure.py replays random workloads on both.
(function () {
  "use strict";
  const NAMES = ["A", "B", "C", "D"];
  const NUM_BLOCKS = 8, BLOCK_SIZE = 4;

  // What Play shows: a fork and its copy-on-write, an end, a prompt found in the cache, and evictions by another text.
  const STORY = [
    { op: "add", seq: "A", n: 6, text: "same" }, { op: "fork", seq: "A" }, { op: "add", seq: "B", n: 1, text: "same" },
    { op: "add", seq: "A", n: 3, text: "same" }, { op: "end", seq: "B" }, { op: "add", seq: "C", n: 10, text: "same" },
    { op: "end", seq: "A" }, { op: "end", seq: "C" }, { op: "add", seq: "D", n: 12, text: "own" },
    { op: "add", seq: "D", n: 12, text: "own" }, { op: "end", seq: "D" },
  ];
  const isStory = (ops) => ops.every((op, i) => op === STORY[i]);

  // The pool after a list of operations: [{ op: "add", seq, n, text } | { op: "fork" | "end", seq } | { op: "evict" }].
  function replay(ops, numBlocks, size, caching) {
    const refs = Array(numBlocks).fill(0), tokens = refs.map(() => Array(size).fill(null)), free = refs.map((_, i) => i);
    const cache = new Map(); // name of a full block (its whole text) -> block, least recently used first
    const tables = {}, texts = {};
    let last = {};
    const release = (block) => { refs[block] -= 1; if (!refs[block]) free.push(block); };
    const share = (block) => { refs[block] += 1; return block; };
    const use = (name) => { const block = cache.get(name); cache.delete(name); cache.set(name, block); };
    const evict = () => {
      for (const [name, block] of cache) {
        if (refs[block] !== 1) continue;
        cache.delete(name);
        release(block);
        last.evicted.push(block);
        return true;
      }
      return false;
    };
    const available = () => free.length + [...cache.values()].filter((block) => refs[block] === 1).length;
    const allocate = () => {
      if (!free.length) evict();
      const block = free.shift();
      refs[block] = 1;
      tokens[block].fill(null);
      return block;
    };
    const names = (text) => Array.from({ length: Math.floor(text.length / size) }, (_, i) => text.slice(0, (i + 1) * size).join(" "));
    const match = (text) => {
      const hits = [];
      for (const name of names(text)) { if (!cache.has(name)) break; hits.push(name); }
      [...hits].reverse().forEach(use);
      return hits.map((name) => share(cache.get(name)));
    };
    const copyLast = (table, column) => {
      const old = table[column], fresh = allocate();
      tokens[fresh] = [...tokens[old]];
      release(old);
      table[column] = fresh;
      last.copied = [old, fresh];
    };
    const add = ({ seq, n, text }) => {
      const begins = !(seq in tables), start = begins ? 0 : texts[seq].length;
      const whole = [...(texts[seq] || [])];
      for (let i = start; i < start + n; i += 1) whole.push(begins && text === "same" ? `s${i + 1}` : `${seq}${i + 1}`);
      let table = begins ? [] : [...tables[seq]], computed = start;
      if (begins && caching) {
        table = match(whole);
        computed = Math.min(table.length * size, whole.length - 1);
      }
      const column = Math.floor(computed / size);
      const mustCopy = column < table.length && refs[table[column]] > 1;
      const needed = Math.ceil(whole.length / size) - table.length;
      if (needed + mustCopy > available()) {
        if (begins) table.forEach(release);
        last.refused = "out of blocks";
        return;
      }
      if (mustCopy) copyLast(table, column);
      for (let i = 0; i < needed; i += 1) table.push(allocate());
      for (let i = computed; i < whole.length; i += 1) tokens[table[Math.floor(i / size)]][i % size] = whole[i];
      tables[seq] = table;
      texts[seq] = whole;
      last.computed = whole.length - computed;
      if (caching) {
        names(whole).map((name, i) => [name, table[i]]).reverse().forEach(([name, block]) => {
          if (!cache.has(name)) cache.set(name, share(block));
          use(name);
        });
      }
    };
    const act = {
      add,
      fork({ seq }) {
        const child = NAMES.find((name) => !(name in tables));
        if (!(seq in tables) || !child) { last.refused = child ? "no such sequence" : "no name is left"; return; }
        tables[child] = tables[seq].map(share);
        texts[child] = [...texts[seq]];
        last.child = child;
      },
      end({ seq }) {
        if (!(seq in tables)) { last.refused = "no such sequence"; return; }
        tables[seq].forEach(release);
        delete tables[seq];
        delete texts[seq];
      },
      evict() { if (!evict()) last.refused = "nothing to evict"; },
    };
    for (const op of ops) {
      last = { ...op, evicted: [] };
      act[op.op](op);
    }
    const lengths = Object.fromEntries(Object.entries(texts).map(([seq, text]) => [seq, text.length]));
    return { refs, tokens, free, cached: [...cache.values()], tables, lengths, last };
  }

  const owners = (r, block) => Object.keys(r.tables).sort().filter((seq) => r.tables[seq].includes(block));
  const color = (seq) => `var(--fig-${1 + NAMES.indexOf(seq)})`;
  const push = (op) => (state, figure) => { state.ops = [...state.ops, op(state)]; figure.update(); };
  const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

  // What the last operation did, in words.
  function happened(r) {
    const { op, seq, n, refused, copied, evicted, computed, child } = r.last;
    if (!op) return "The pool is empty.";
    const what = op === "add" ? `${seq} + ${plural(n, "token")}` : op === "evict" ? "Evict" : `${op === "fork" ? "Fork" : "End"} ${seq}`;
    if (refused) return `${what}: refused (${refused}), nothing changed.`;
    const parts = [];
    if (child) parts.push(`${child} shares all blocks of ${seq}`);
    if (computed !== undefined && computed < n) parts.push(`${plural(n - computed, "token")} found in the cache, ${computed} computed`);
    if (copied) parts.push(`block ${copied[0]} was shared, so it was copied to block ${copied[1]} before writing`);
    if (evicted.length) parts.push(`evicted ${evicted.map((block) => `block ${block}`).join(", ")}`);
    return parts.length ? `${what}: ${parts.join("; ")}.` : `${what}: done.`;
  }

  Figure.define("block-table", {
    title: "Who holds which block?",
    controls: {
      seq: { kind: "select", label: "Sequence", options: Object.fromEntries(NAMES.map((name) => [name, name])), value: "B" },
      n: { kind: "range", label: "Tokens to add", min: 1, max: 12, value: 1 },
      text: { kind: "select", label: "A new sequence begins with", options: { same: "the common prompt s1, s2, …", own: "words of its own" }, value: "same" },
      caching: { kind: "check", label: "prefix cache keeps full blocks", value: true },
    },
    state: { ops: STORY.slice(0, 2) },
    // Step goes on with the story; behind operations of one's own it begins it again.
    play: {
      get: (state) => state.ops.length,
      set(state, n) { state.ops = n <= state.ops.length ? state.ops.slice(0, n) : STORY.slice(0, isStory(state.ops) ? n : 1); },
      most: (r, state) => (isStory(state.ops) ? STORY.length : state.ops.length + 1),
      ms: 1800,
    },
    buttons: {
      "Add tokens": push((s) => ({ op: "add", seq: s.seq, n: s.n, text: s.text })),
      Fork: push((s) => ({ op: "fork", seq: s.seq })),
      "End sequence": push((s) => ({ op: "end", seq: s.seq })),
      "Evict one": push(() => ({ op: "evict" })),
    },
    compute: (state) => replay(state.ops, state.num_blocks || NUM_BLOCKS, state.block_size || BLOCK_SIZE, state.caching),
    height: (r, state, width) => (width < 480 ? 4 : 2) * 66 + 26 * NAMES.length + 6,
    draw(r, state, svg) {
      const columns = svg.width < 480 ? 2 : 4, wide = svg.width / columns, cell = (wide - 14) / BLOCK_SIZE;
      r.refs.forEach((count, block) => {
        const x = (block % columns) * wide + 2, y = Math.floor(block / columns) * 66 + 4;
        const who = owners(r, block), kept = r.cached.includes(block);
        const label = !count ? "free" : [...who, ...(kept ? ["cache"] : [])].join(" + ");
        svg.text(x, y + 12, `${block}: ${label}`, { "font-size": 12, fill: count ? "var(--fig-ink)" : "var(--fig-muted)" });
        for (let slot = 0; slot < BLOCK_SIZE; slot += 1) {
          const token = count ? r.tokens[block][slot] : null;
          svg.rect(x + slot * cell, y + 18, cell - 2, 30, {
            fill: "var(--fig-surface)", stroke: !count ? "var(--fig-line)" : who.length ? color(who[slot % who.length]) : "var(--fig-muted)",
            "stroke-width": who.length > 1 ? 3 : 1.5, "stroke-dasharray": who.length ? null : "4 3",
          });
          if (token) svg.text(x + slot * cell + cell / 2 - 1, y + 38, token, { "text-anchor": "middle", "font-size": 12, fill: who.length ? "var(--fig-ink)" : "var(--fig-muted)" });
        }
      });
      const top = (NUM_BLOCKS / columns) * 66 + 16;
      NAMES.forEach((seq, i) => {
        const y = top + 26 * i;
        svg.rect(2, y - 4, 14, 14, { fill: "var(--fig-surface)", stroke: color(seq), "stroke-width": 3 });
        const table = r.tables[seq];
        svg.text(24, y + 8, table ? `${seq}: table [${table.join(", ")}], ${plural(r.lengths[seq], "token")}` : `${seq}: not there`, { fill: table ? "var(--fig-ink)" : "var(--fig-muted)" });
      });
    },
    say(r, state) {
      const idle = r.cached.filter((block) => r.refs[block] === 1).length;
      const used = r.refs.filter((count) => count > 0).length - idle;
      return `${happened(r)} ${plural(used, "block")} in use, ${idle} kept by the cache alone, ${r.free.length} free. Selected: ${state.seq}, ${plural(state.n, "token")}.`;
    },
    table(r) {
      return {
        head: ["block", "owners", "listed by", "tokens"], caption: "The pool",
        rows: r.refs.map((count, block) => [
          block, count, [...owners(r, block), ...(r.cached.includes(block) ? ["cache"] : [])].join(", ") || "nobody",
          count ? r.tokens[block].filter(Boolean).join(" ") : "",
        ]),
      };
    },
  });
})();
