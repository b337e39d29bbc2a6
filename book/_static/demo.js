// The front page's demo: a recorded run of the real model, token by token, with the bytes that each token costs.
// It plays once, can be paused and stepped through, and where less motion is wished for it waits at its end.
(function () {
  "use strict";

  const TOKEN_MS = 420;  // on the screen; the recording holds no times
  const run = window.figureData.demo;
  const size = (bytes) => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : bytes >= 1e7 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e6).toFixed(1)} MB`);
  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };

  const steps = run.steps.filter((step, i) => step.text || i < run.steps.length - 1);
  const spent = [0];
  for (const step of steps) spent.push(spent.at(-1) + run.weight_bytes + step.kv_bytes);

  function setUp(demo) {
    const answer = demo.querySelector(".demo-answer");
    const say = demo.querySelector(".demo-say");
    const bar = make("div", { class: "demo-bar", "aria-hidden": "true" }, make("span", {}));
    const total = make("p", { class: "demo-total" });
    const pieces = steps.map(({ text }) => make("span", {}, text));
    let at = 0, started = 0, playing = false;

    const words = () => {
      if (at === 0) return `${run.model.name}, recorded. For each token it reads every weight: ${size(run.weight_bytes)}.`;
      const kv = size(steps[at - 1].kv_bytes);
      if (at < steps.length) return `Token ${at} of ${steps.length}: ${size(run.weight_bytes)} of weights, and ${kv} of keys and values of the ${run.num_prompt_tokens + at - 1} tokens before it.`;
      return `${run.model.name} wrote this sentence of ${steps.length} tokens, and read all its weights ${steps.length} times for it.`;
    };
    const show = () => {
      pieces.forEach((piece, i) => { piece.className = i < at - 1 || at === steps.length ? "" : i < at ? "demo-new" : "demo-coming"; });
      say.textContent = words();
      total.replaceChildren(make("strong", {}, size(spent[at])), " read so far");
      const names = { true: "Pause", false: at === steps.length ? "Play again" : "Play" };
      play.textContent = names[playing];
      step.disabled = at === steps.length;
    };
    const tick = (now) => {
      if (!playing) return;
      const part = (now - started) / TOKEN_MS;
      bar.firstChild.style.transform = `scaleX(${Math.min(1, part)})`;
      if (part >= 1) {
        at += 1;
        started = now;
        playing = at < steps.length;
        show();
      }
      requestAnimationFrame(tick);
    };
    const start = () => {
      if (at === steps.length) at = 0;
      playing = true;
      started = performance.now();
      show();
      requestAnimationFrame(tick);
    };
    const play = make("button", { type: "button" });
    play.addEventListener("click", () => {
      if (!playing) return start();
      playing = false;
      show();
    });
    const step = make("button", { type: "button" }, "One token");
    step.addEventListener("click", () => {
      playing = false;
      at = Math.min(steps.length, at + 1);
      show();
    });

    answer.replaceChildren(...pieces);
    say.before(bar, total);
    demo.append(make("div", { class: "demo-buttons" }, play, step));
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      at = steps.length;
      show();
    } else start();
  }

  document.querySelectorAll(".demo").forEach(setUp);
})();
