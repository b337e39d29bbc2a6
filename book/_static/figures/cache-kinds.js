// What one request holds under five kinds of attention, 32 layers of the shape of Llama-2-7B. The bytes are those of the
// engine's caches (KVCache, WindowCache, LatentCache, StateCache); tests/test_cache_kinds_figure.py compares them.
(function () {
  "use strict";
  const LAYERS = 32, HEADS = 32, KV_HEADS = 8, DIM = 128, RANK = 512, ROPE = 64;
  // a state's heads, the two sizes of its matrix and the channels of the short convolution, of which 3 inputs are kept
  const STATE = { layers: 24, heads: 32, dim: 128, channels: 2 * 16 * 128 + 32 * 128, tail: 3 };

  Figure.define("cache-kinds", {
    title: "What does one request hold?",
    controls: {
      context: { kind: "range", label: "Tokens in the text", min: 128, max: 1048576, value: 131072, scale: "log", step: 0.25 },
      window: { kind: "range", label: "Window", min: 128, max: 131072, value: 4096, scale: "log", step: 1 },
      bytes_per: { kind: "select", label: "Cache stored as", options: { 2: "bf16 or fp16, 2 bytes", 1: "fp8 or int8, 1 byte", 4: "float32, 4 bytes" }, value: "2" },
    },
    compute(state) {
      const each = Number(state.bytes_per), n = state.context;
      const layer = (kvHeads) => 2 * kvHeads * DIM * each;
      const kept = STATE.layers * (STATE.heads * STATE.dim * STATE.dim * 4 + STATE.channels * STATE.tail * each);
      return {
        mha: LAYERS * layer(HEADS) * n,
        gqa: LAYERS * layer(KV_HEADS) * n,
        window: (LAYERS / 2) * layer(KV_HEADS) * (n + Math.min(n, state.window)),
        mla: LAYERS * (RANK + ROPE) * each * n,
        state: kept + (LAYERS - STATE.layers) * layer(KV_HEADS) * n,
      };
    },
    height: 254,
    draw(r, state, svg) {
      const right = svg.width - 8;
      const narrow = svg.width < 480, window = Figure.count(state.window);
      const bars = [
        ["MHA, 32 KV heads", r.mha, "var(--fig-6)"],
        ["GQA, 8 KV heads", r.gqa, "var(--fig-1)"],
        [narrow ? `GQA, half with a window of ${window}` : `GQA, every second layer a window of ${window}`, r.window, "var(--fig-2)"],
        [narrow ? "MLA" : "MLA, a latent of 512 and a key of 64", r.mla, "var(--fig-3)"],
        [narrow ? "three of four a state, the rest GQA" : "three of four layers a state, the fourth GQA", r.state, "var(--fig-4)"],
      ];
      const most = Math.max(...bars.map((bar) => bar[1]));
      bars.forEach(([label, n, fill], i) => {
        const y = 6 + 50 * i;
        svg.text(0, y + 12, `${label}: ${Figure.bytes(n)}`, { fill: "var(--fig-ink)" });
        svg.rect(0, y + 18, Math.max(1, (n / most) * right), 18, { fill, rx: 2 });
      });
    },
    say(r, state) {
      const kinds = { MHA: r.mha, GQA: r.gqa, "GQA with windows": r.window, MLA: r.mla, "states with GQA": r.state };
      const least = Object.keys(kinds).reduce((a, b) => (kinds[b] < kinds[a] ? b : a));
      return `A text of ${Figure.count(state.context)} tokens holds ${Figure.bytes(r.mha)} with MHA and ${Figure.bytes(kinds[least])} with ${least}, the smallest here.`;
    },
    table(r, state) {
      const row = (name, n) => [name, Figure.bytes(n), Figure.bytes(n / state.context)];
      const rows = [row("MHA", r.mha), row("GQA", r.gqa), row("GQA, half of the layers with a window", r.window), row("MLA", r.mla), row("states in three of four layers", r.state)];
      return { head: ["kind", "one request", "per token, on average"], rows, caption: "What one request holds" };
    },
  });
})();
