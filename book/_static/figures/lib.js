// What the interactive figures share. Plain script, no modules, so that figures also run from file://.
//
// A figure is one file figures/NAME.js, in this pattern (kv-calculator.js is the worked example):
//
//   Figure.define("kv-calculator", {                 // the element is <figure-kv-calculator>
//     title: "What does the KV cache cost?",
//     controls: {                                    // values arrive in `state` under these names
//       layers: { kind: "range", label: "Layers", min: 1, max: 128, value: 32 },
//       tokens: { kind: "range", label: "Tokens", min: 128, max: 131072, value: 4096, scale: "log", format: Figure.count },
//       model:  { kind: "select", label: "Model", options: { "llama-3-8b": "Llama-3-8B" }, value: "llama-3-8b" },
//       gib:    { kind: "check", label: "GiB in place of GB", value: false },
//     },
//     buttons: { "Step": (state, figure) => { state.step += 1; figure.update(); } },   // optional
//     play: { of: "step", most: (result, state) => 9 },   // optional: Play, Back, Step, From the start over state.step; see Player
//     compute(state) { return { ... }; },            // pure: numbers in, numbers out. Tests call it:
//                                                    //   Figure.compute("kv-calculator", { layers: 32, ... })
//     changed(name, state) { ... },                  // optional: one control moves others; edit state in place
//     draw(result, state, svg) { ... },              // fill the emptied <svg>: svg.rect(...), svg.text(...)
//     height: 120,                                   // of the drawing; its width is 640 units, 360 on a narrow screen
//     say(result, state) { return "..."; },          // one sentence with the result; read out by screen readers
//     table(result, state) { return { head: ["", "bytes"], rows: [["K and V", "2"]] }; },
//   });
//
// Colours: only the CSS variables --fig-ink, --fig-muted, --fig-line, --fig-surface, --fig-1 … --fig-6, --fig-ok,
// --fig-bad of course.css, as "var(--fig-1)". They follow the theme. Never tell two things apart by colour alone.
// Numbers made by mini_engine: name the data set in the directive (`:data: models`) and read window.figureData.models.
// Text alternative: the directive's body stays in the page for readers without JavaScript and is replaced by the figure.
(function () {
  "use strict";

  const definitions = {};

  // Numbers -------------------------------------------------------------------------------------------------------
  const digits = (value, significant) => Number(value.toPrecision(significant)).toLocaleString("en", { maximumFractionDigits: 20 });

  /** 12345 -> "12,345". */
  const count = (value) => Math.round(value).toLocaleString("en");

  /** Bytes in words: 805306368 -> "805 MB", or "768 MiB" with binary true. Three significant digits. */
  const bytes = (value, binary) => {
    const base = binary ? 1024 : 1000;
    const units = binary ? ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"] : ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let step = 0;
    while (step < units.length - 1 && Math.abs(value) >= base) { value /= base; step += 1; }
    const shown = Math.abs(value) >= 1000 ? count(value) : digits(value, 3);
    return `${shown} ${units[step]}`;
  };

  /** Seconds in words: 0.0083 -> "8.3 ms". */
  const seconds = (value) => {
    const units = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
    const [size, name] = units.find(([unit]) => Math.abs(value) >= unit) || units[3];
    return `${digits(value / size, 3)} ${name}`;
  };

  // Making nodes ----------------------------------------------------------------------------------------------------
  const SVG = "http://www.w3.org/2000/svg";

  const setAttributes = (node, attributes) => {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== undefined && value !== null) node.setAttribute(name, value);
    }
    return node;
  };

  /** An HTML element: html("p", { class: "x" }, "text", child). */
  const html = (tag, attributes, ...children) => {
    const node = setAttributes(document.createElement(tag), attributes);
    node.append(...children);
    return node;
  };

  /** A drawing board: svg.rect, svg.line, svg.text, svg.path, svg.circle, svg.group; each returns the new element. */
  function board(root, width, height) {
    const add = (parent) => (tag, attributes, words) => {
      const node = setAttributes(document.createElementNS(SVG, tag), attributes);
      if (words !== undefined) node.textContent = words;
      parent.append(node);
      return node;
    };
    const on = (parent) => {
      const make = add(parent);
      return {
        node: parent, width, height, make,
        rect: (x, y, w, h, attributes) => make("rect", { x, y, width: Math.max(0, w), height: Math.max(0, h), ...attributes }),
        line: (x1, y1, x2, y2, attributes) => make("line", { x1, y1, x2, y2, stroke: "var(--fig-line)", ...attributes }),
        circle: (cx, cy, r, attributes) => make("circle", { cx, cy, r, ...attributes }),
        path: (d, attributes) => make("path", { d, fill: "none", stroke: "var(--fig-1)", "stroke-width": 2, ...attributes }),
        text: (x, y, words, attributes) => make("text", { x, y, "font-size": 13, ...attributes }, words),
        group: (attributes) => on(make("g", attributes)),
      };
    };
    return on(root);
  }

  /** A data table in a closed <details>. Cells that start with a digit are set right. */
  function dataTable({ head, rows, caption }) {
    const cell = (tag, value) => html(tag, { class: /^[\d−-]/.test(String(value)) ? "num" : null, scope: tag === "th" ? "col" : null }, value === "" ? html("span", { class: "visually-hidden" }, "Row") : String(value));
    const table = html("table", {});
    if (caption) table.append(html("caption", {}, caption));
    table.append(html("thead", {}, html("tr", {}, ...head.map((value) => cell("th", value)))));
    table.append(html("tbody", {}, ...rows.map((row) => html("tr", {}, ...row.map((value) => cell("td", value))))));
    return html("div", { class: "fig-scroll", tabindex: "0", role: "region", "aria-label": caption || "Data table" }, table);
  }

  // Controls ----------------------------------------------------------------------------------------------------------
  // A range with scale "log" has a linear handle over the logarithm; `steps` lists the only values it may take.
  const toHandle = (spec, value) => {
    if (spec.steps) return spec.steps.reduce((best, item, i) => (Math.abs(item - value) < Math.abs(spec.steps[best] - value) ? i : best), 0);
    return spec.scale === "log" ? Math.log2(value) : value;
  };
  const fromHandle = (spec, handle) => {
    if (spec.steps) return spec.steps[handle];
    return spec.scale === "log" ? Math.round(2 ** handle) : handle;
  };

  function makeControl(id, spec, onInput) {
    if (spec.kind === "check") {
      const input = html("input", { type: "checkbox", id });
      input.addEventListener("input", () => onInput(input.checked));
      return { node: html("label", { class: "fig-check", for: id }, input, spec.label), set: (value) => { input.checked = value; } };
    }
    if (spec.kind === "select") {
      const input = html("select", { id });
      for (const [value, label] of Object.entries(spec.options)) input.append(html("option", { value }, label));
      input.addEventListener("input", () => onInput(input.value));
      return { node: html("label", { class: "fig-control", for: id }, html("span", {}, spec.label), input), set: (value) => { input.value = value; } };
    }
    if (spec.kind === "text") {
      const input = html("input", { type: "text", id, autocomplete: "off", spellcheck: "false" });
      input.addEventListener("input", () => onInput(input.value));
      return { node: html("label", { class: "fig-control", for: id }, html("span", {}, spec.label), input), set: (value) => { if (input.value !== value) input.value = value; } };
    }
    const format = spec.format || count;
    const [min, max] = spec.steps ? [0, spec.steps.length - 1] : [toHandle(spec, spec.min), toHandle(spec, spec.max)];
    const step = spec.steps ? 1 : spec.scale === "log" ? spec.step || 0.125 : spec.step || 1;
    const input = html("input", { type: "range", id, min, max, step });
    const output = html("output", { for: id });
    input.addEventListener("input", () => onInput(fromHandle(spec, Number(input.value))));
    const set = (value) => {
      input.value = toHandle(spec, value);
      output.textContent = format(value);
      input.setAttribute("aria-valuetext", format(value));
    };
    return { node: html("label", { class: "fig-control", for: id }, html("span", {}, spec.label, output), input), set };
  }

  // Playing -------------------------------------------------------------------------------------------------------------
  const clamp = (value, least, most) => Math.max(least, Math.min(most, value));

  /** Moves one number of a figure's state: by a timer, by buttons, and by the pointer on the picture.
   *
   * spec.of names it (or spec.get and spec.set reach it); it runs from 0 to spec.most(result, state). spec.next(value, by,
   * result) is where a step leads, value + by unless given. spec.at(x, y, result, state, width) is the value under the
   * pointer, in the drawing's units; spec.axis "x" lets a finger drag too, since a page is scrolled along y.
   */
  class Player {
    constructor(figure, spec) {
      Object.assign(this, { figure, spec, timer: null });
    }

    get value() { return this.spec.get ? this.spec.get(this.figure.state) : this.figure.state[this.spec.of]; }

    get most() { return this.spec.most(this.figure.result, this.figure.state); }

    show(value) {
      const { figure, spec } = this, wanted = clamp(value, 0, this.most);
      if (spec.set) spec.set(figure.state, wanted);
      else figure.state[spec.of] = wanted;
      figure.update();
    }

    step(by) { this.show(this.spec.next ? this.spec.next(this.value, by, this.figure.result) : this.value + by); }

    stop() { window.clearInterval(this.timer); this.timer = null; }

    // Where the reader asked for less motion, Play is one step.
    play() {
      if (this.timer) return this.stop();
      if (this.value >= this.most) this.show(0);
      this.step(1);
      if (!mayMove()) return undefined;
      this.timer = window.setInterval(() => {
        if (!this.figure.isConnected || this.value >= this.most) this.stop();
        else this.step(1);
      }, this.spec.ms || 1000);
      return undefined;
    }

    buttons() {
      const still = (act) => () => { this.stop(); act(); };
      return {
        "Play or pause": () => this.play(),
        Back: still(() => this.step(-1)),
        Step: still(() => this.step(1)),
        "From the start": still(() => this.show(0)),
      };
    }

    listenOn(picture) {
      const { spec, figure } = this;
      if (!spec.at) return;
      const isX = spec.axis === "x";
      picture.style.cursor = isX ? "ew-resize" : "ns-resize";
      picture.style.touchAction = isX ? "pan-y" : "auto";
      const to = (event) => {
        const box = picture.getBoundingClientRect(), scale = figure.drawnWidth / box.width;
        const value = spec.at((event.clientX - box.left) * scale, (event.clientY - box.top) * scale, figure.result, figure.state, figure.drawnWidth);
        if (Number.isFinite(value) && value !== this.value) this.show(value);
      };
      picture.addEventListener("pointerdown", (event) => { this.stop(); to(event); });
      picture.addEventListener("pointermove", (event) => { if (event.buttons && (isX || event.pointerType === "mouse")) to(event); });
    }
  }

  // When to make a figure -----------------------------------------------------------------------------------------------
  const NEAR_PX = 600;
  const waiting = new Map();
  const makeNow = (figure) => {
    const make = waiting.get(figure);
    waiting.delete(figure);
    near?.unobserve(figure);
    if (make) make();
  };
  const near = window.IntersectionObserver && new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) if (isIntersecting) makeNow(target);
  }, { rootMargin: `${NEAR_PX}px 0px` });

  function whenNear(figure, make) {
    waiting.set(figure, make);
    if (near) near.observe(figure);
    else makeNow(figure);
  }
  if (near) window.addEventListener("beforeprint", () => [...waiting.keys()].forEach(makeNow));

  /** About the height, in px, that a figure will have: it is kept for it. */
  const room = ({ controls = {}, height }) => 180 + 28 * Object.keys(controls).length + (typeof height === "number" ? height : 260);

  // The element ---------------------------------------------------------------------------------------------------------
  let made = 0;

  function define(name, definition) {
    definitions[name] = definition;
    customElements.define(`figure-${name}`, class extends HTMLElement {
      // A figure is made when it comes near the reader's eyes, or onto paper.
      connectedCallback() {
        if (this.state || this.awaited) return;
        this.awaited = true;
        this.style.minHeight = `${room(definition)}px`;
        whenNear(this, () => this.make());
      }

      make() {
        if (this.state) return;
        this.style.minHeight = "";
        made += 1;
        this.idPrefix = `fig-${made}`;
        this.state = { ...(definition.state || {}) };
        this.controls = {};
        const title = html("p", { class: "fig-title", id: `${this.idPrefix}-t` }, definition.title);
        const panel = html("div", { class: "fig-controls" });
        for (const [key, spec] of Object.entries(definition.controls || {})) {
          this.state[key] = spec.value;
          this.controls[key] = makeControl(`${this.idPrefix}-${key}`, spec, (value) => {
            this.state[key] = value;
            if (definition.changed) definition.changed(key, this.state);
            this.update();
          });
          panel.append(this.controls[key].node);
        }
        const buttons = html("div", { class: "fig-buttons" });
        this.player = definition.play ? new Player(this, definition.play) : null;
        for (const [label, act] of Object.entries({ ...(this.player ? this.player.buttons() : {}), ...definition.buttons })) {
          const button = html("button", { type: "button" }, label);
          button.addEventListener("click", () => act(this.state, this));
          buttons.append(button);
        }
        this.picture = definition.draw ? document.createElementNS(SVG, "svg") : null;
        this.sentence = html("p", { class: "fig-say", role: "status", "aria-live": "polite" });
        this.data = html("details", {}, html("summary", {}, "The numbers as a table"));
        this.setAttribute("role", "group");
        this.setAttribute("aria-labelledby", title.id);
        this.replaceChildren(title, panel);
        if (buttons.firstChild) this.append(buttons);
        if (this.picture) this.append(this.picture);
        this.append(this.sentence);
        if (definition.table) this.append(this.data);
        this.update();
        if (this.player && this.picture) this.player.listenOn(this.picture);
        if (this.picture) new ResizeObserver(() => this.redraw()).observe(this);
      }

      // Compute and show everything again from this.state.
      update() {
        for (const [key, control] of Object.entries(this.controls)) control.set(this.state[key]);
        this.result = definition.compute(this.state);
        this.redraw(true);
        this.sentence.textContent = definition.say(this.result, this.state);
        if (definition.table) {
          this.data.querySelector(".fig-scroll")?.remove();
          this.data.append(dataTable(definition.table(this.result, this.state)));
        }
      }

      redraw(always) {
        if (!this.picture) return;
        const width = this.clientWidth && this.clientWidth < 480 ? 360 : 640;
        if (!always && width === this.drawnWidth) return;
        this.drawnWidth = width;
        const wanted = definition.height;
        const height = typeof wanted === "function" ? wanted(this.result, this.state, width) : wanted || 200;
        this.picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
        this.picture.setAttribute("role", "img");
        this.picture.setAttribute("aria-label", definition.say(this.result, this.state));
        this.picture.replaceChildren();
        definition.draw(this.result, this.state, board(this.picture, width, height));
      }
    });
  }

  /** Whether to animate: false where the reader asked for less motion. */
  const mayMove = () => !window.matchMedia("(prefers-reduced-motion: reduce)").matches;

  const compute = (name, state) => definitions[name].compute(state);

  window.Figure = { define, compute, count, bytes, seconds, digits, html, dataTable, mayMove };
})();
