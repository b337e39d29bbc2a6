// The panel in which SmolLM2 answers on the reader's own GPU. Nothing is fetched before the button is pressed, and then
// only from the server of this page. Without a GPU the panel says why, and the recorded answer stays what there is.
(function () {
  "use strict";

  const MAX_NEW = 64;
  const BASE = new URL(`${document.documentElement.dataset.content_root || "./"}_model/`, location.href).href;
  const megabytes = (bytes) => `${Math.round(bytes / 1e6)} MB`;
  const gigabytes = (rate) => `${(rate / 1e9).toPrecision(3)} GB/s`;
  const size = (bytes) => (bytes >= 1 << 20 ? `${bytes >> 20} MiB` : `${bytes >> 10} KiB`);
  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };

  function setUp(panel) {
    const say = make("p", { class: "gpu-say", role: "status" });
    const bar = make("progress", { "aria-label": "weights received", max: 1, value: 0, hidden: "" });
    const answer = make("p", { class: "demo-answer", hidden: "" });
    const figures = make("table", { class: "gpu-figures", hidden: "" });
    const question = make("input", { type: "text", value: "What is the capital of France?", "aria-label": "Your question", maxlength: 400 });
    const [load, ask, stop] = [`Load SmolLM2${panel.dataset.size ? `, ${panel.dataset.size}` : ""}`, "Ask", "Cancel"].map((name) => make("button", { type: "button" }, name));
    const form = make("form", { class: "gpu-form", hidden: "" }, question, ask);
    ask.type = "submit";
    stop.hidden = true;
    panel.replaceChildren(say, bar, form, answer, figures, make("div", { class: "demo-buttons" }, load, stop));
    let decoder = null, control = null;

    /** Run one piece of work with a Cancel button; what goes wrong becomes one sentence. */
    async function working(work) {
      control = new AbortController();
      load.disabled = ask.disabled = true;
      stop.hidden = false;
      try {
        await work(control.signal);
      } catch (error) {
        say.textContent = error.name === "AbortError" ? "Cancelled." : error.message;
        if (decoder && decoder.failure) decoder = null;
      }
      bar.hidden = stop.hidden = true;
      load.disabled = ask.disabled = false;
      load.hidden = decoder !== null;
      form.hidden = decoder === null;
    }

    async function loadModel(signal) {
      say.textContent = "Asking for the weights …";
      decoder = await window.GpuDecoder.load(BASE, {
        signal,
        progress(received, total) {
          bar.hidden = false;
          bar.value = received / total;
          const words = `${megabytes(received)} of ${megabytes(total)} from this page's server, straight to your GPU.`;
          if (say.textContent !== words) say.textContent = words;
        },
      });
      say.textContent = `${decoder.plan.model} is on ${decoder.name}: ${decoder.layers.length + decoder.head.length} kernels a step.`;
      const [, [, cache], [, memory]] = decoder.copies;
      for (const [name, rate] of Object.entries({ cache, memory, host: decoder.upload })) {
        for (const label of document.querySelectorAll(`[data-rate="${name}"]`)) label.textContent = `yours: ${gigabytes(rate)}`;
      }
    }

    async function answerQuestion(signal) {
      const ids = await (await window.GpuDecoder.get(`${BASE}prompt.json?question=${encodeURIComponent(question.value)}`, signal)).json();
      const text = new TextDecoder(), times = [];
      say.textContent = `Reading ${ids.length} tokens …`;
      answer.hidden = false;
      answer.textContent = "";
      for await (const token of decoder.generate(ids, MAX_NEW, signal)) {
        times.push(performance.now());
        answer.textContent += text.decode(Uint8Array.from(decoder.pieces[token] || "", (c) => c.charCodeAt(0)), { stream: true });
        say.textContent = `${times.length} tokens`;
      }
      const seconds = (times[times.length - 1] - times[0]) / 1000;
      if (times.length > 1) report((times.length - 1) / seconds);
      say.textContent = `${times.length} tokens on ${decoder.name}${signal.aborted ? ", cancelled" : ""}.`;
    }

    function report(rate) {
      const [, bandwidth] = decoder.copies[decoder.copies.length - 1];
      const predicted = bandwidth / decoder.plan.weight_bytes;
      const rows = decoder.copies.map(([bytes, each]) => [`copies of ${size(bytes)}`, gigabytes(each)]);
      rows.push(["from the page's memory to the GPU", gigabytes(decoder.upload)]);
      rows.push(["predicted: bandwidth of the largest, over the weights' bytes", `${predicted.toPrecision(3)} tokens/s`]);
      rows.push(["measured", `${rate.toPrecision(3)} tokens/s`], ["share of the bandwidth", `${(100 * rate / predicted).toPrecision(2)}%`]);
      rows.push(["recording one step", `${decoder.encodingMs.toFixed(2)} ms`]);
      figures.replaceChildren(...rows.map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value))));
      figures.hidden = false;
    }

    load.addEventListener("click", () => working(loadModel));
    stop.addEventListener("click", () => control.abort());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      working(answerQuestion);
    });
    say.textContent = "Your GPU can answer here.";
    load.disabled = true;
    window.GpuDecoder.findAdapter().then(() => {
      load.disabled = false;
      say.textContent = "SmolLM2 can answer on your own GPU, in this page. Its weights come from the page's server (make serve), and nothing leaves your machine.";
    }, (error) => {
      load.hidden = true;
      say.textContent = `${error.message} What you see here is a recorded answer.`;
    });
  }

  document.querySelectorAll(".gpu-answer").forEach(setUp);
})();
