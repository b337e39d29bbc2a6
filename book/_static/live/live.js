// Live exercises: an editor, Run, Check and Stop in every exercise that NumPy can carry, with Python in a worker.
// Without JavaScript, and from file:// where browsers start no worker, the exercise stays what the page shows.
(function () {
  "use strict";

  const STATIC = new URL("../", document.currentScript.src).href;
  const FROM_DISK = location.protocol === "file:";
  const Work = window.CourseWork;
  const Python = window.CoursePython;
  const SLOW_MS = 10000;
  const DOWNLOAD = "17 MB";  // tests/test_live.py weighs it

  // What is said must be seen: scroll as little as it takes.
  const into = (node) => node.scrollIntoView({ block: "nearest" });

  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) if (value !== null) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const button = (words, act, attributes) => {
    const node = make("button", { type: "button", ...attributes }, words);
    node.addEventListener("click", act);
    return node;
  };

  const topics = {};
  function loadTopic(topic) {
    topics[topic] ??= fetch(`${STATIC}live/${topic}.json`).then((answer) => {
      if (!answer.ok) throw new Error(`${topic}.json answers ${answer.status}`);
      return answer.json();
    });
    topics[topic].catch(() => delete topics[topic]);
    return topics[topic];
  }

  // action "run" or "check" of one exercise, with the reader's own earlier answers that pass
  async function attempt(topic, name, code, action, address, onReady) {
    const data = await loadTopic(topic);
    const answers = {};
    for (const { name: earlier } of data.exercises) {
      const { passed } = Work.get(topic, earlier);
      if (earlier !== name && passed !== undefined) answers[earlier] = passed;
    }
    return Python.ask({ topic: data, name, code, action, answers }, address, onReady);
  }

  // The editor: CodeMirror where it can be loaded, else a textarea --------------------------------------------------------
  // oneDark's colours stand for kinds of token; the page gives each kind a colour of its theme
  const TOKEN_KINDS = {
    "#c678dd": "keyword", "#98c379": "string", "#7d8799": "comment", "#d19a66": "number", "#61afef": "name",
    "#e5c07b": "number", "#56b6c2": "operator",
  };

  let codeMirror;
  const loadCodeMirror = () => (codeMirror ??= import(`${STATIC}vendor/codemirror/index.js`).then(async (CM) => {
    const language = await CM.languages.find(({ name }) => name === "Python").load();
    const highlight = CM.HighlightStyle.define(
      CM.oneDarkHighlightStyle.specs.filter(({ color }) => TOKEN_KINDS[color]).map(({ tag, color }) => ({ tag, color: `var(--code-${TOKEN_KINDS[color]})` })),
    );
    return { CM, language, highlight };
  }));

  function codeMirrorEditor({ CM, language, highlight }, { label, text, onChange, onCheck, onLeave }) {
    const keys = [
      { key: "Ctrl-Enter", mac: "Cmd-Enter", run: () => { onCheck(); return true; } },
      { key: "Escape", run: () => { onLeave(); return true; } },
      CM.indentWithTab,
    ];
    const view = new CM.EditorView({
      doc: text,
      extensions: [
        CM.Prec.highest(CM.keymap.of(keys)),
        CM.minimalSetup,
        CM.lineNumbers(),
        CM.indentOnInput(),
        CM.bracketMatching(),
        CM.indentUnit.of("    "),
        CM.syntaxHighlighting(highlight),
        language,
        CM.EditorView.lineWrapping,
        CM.EditorView.contentAttributes.of({ "aria-label": label }),
        CM.EditorView.updateListener.of((update) => { if (update.docChanged) onChange(); }),
      ],
    });
    return {
      node: view.dom,
      get: () => view.state.doc.toString(),
      set: (value) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: value } }),
    };
  }

  function plainEditor({ label, text, onChange, onCheck, onLeave }) {
    const area = make("textarea", { "aria-label": label, spellcheck: "false", rows: Math.max(8, text.split("\n").length + 2) });
    area.value = text;
    area.addEventListener("input", onChange);
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) onCheck();
      else if (event.key === "Escape") onLeave();
      else if (event.key === "Tab" && !event.shiftKey) area.setRangeText("    ", area.selectionStart, area.selectionEnd, "end");
      else return;
      event.preventDefault();
      onChange();
    });
    return { node: area, get: () => area.value, set: (value) => { area.value = value; onChange(); } };
  }

  // What every exercise gets ----------------------------------------------------------------------------------------------
  const STATES = { passed: "visible checks pass", tried: "begun", written: "answer kept", done: "done in the notebook" };

  function showState({ topic, name, kind, state }) {
    const words = STATES[Work.stateOf(topic, name, kind)] || "";
    state.textContent = words && ` · ${words}`;
    state.classList.toggle("passed", Work.stateOf(topic, name, kind) === "passed");
  }

  function oneHintAtATime({ box, topic, name }) {
    const hints = [...box.querySelectorAll(".exercise-hint")];
    const opened = Work.get(topic, name).hints || 0;
    hints.forEach((hint, i) => {
      hint.hidden = i > opened;
      hint.addEventListener("toggle", () => {
        if (!hint.open) return;
        Work.put(topic, name, { hints: Math.max(i + 1, Work.get(topic, name).hints || 0) });
        if (hints[i + 1]) hints[i + 1].hidden = false;
      });
    });
  }

  // The solution waits for an attempt, or for the reader's explicit wish.
  function gateSolution({ box, topic, name, kind }) {
    const solution = box.querySelector(".exercise-solution");
    if (!solution) return () => {};
    const after = {
      live: "The solution opens after your first Check", written: "The model answer opens once you have written yours",
      notebook: "Try it in the notebook first",
    };
    const what = kind === "written" ? "model answer" : "solution";
    const gate = make("p", { class: "live-gate" }, `${after[FROM_DISK && kind === "live" ? "notebook" : kind]}, or `);
    gate.append(button(`show me the ${what}`, () => {
      Work.put(topic, name, { shown: true });
      update();
      solution.open = true;
      solution.querySelector("summary").focus();
    }));
    solution.before(gate);
    const update = () => {
      const entry = Work.get(topic, name);
      const open = Boolean(entry.attempts || entry.shown || (kind === "written" && (entry.code || "").trim()));
      solution.hidden = !open;
      gate.hidden = open;
    };
    update();
    return update;
  }

  async function downloadNotebook(topic) {
    const notebook = await (await fetch(`${STATIC}live/${topic}.ipynb`)).json();
    for (const cell of notebook.cells) {
      const marks = cell.metadata.nbgrader;
      if (!marks || !marks.solution) continue;
      const { code } = Work.get(topic, marks.grade_id);
      if (code !== undefined) cell.source = code;
    }
    Work.save(`${topic}.ipynb`, `${JSON.stringify(notebook, null, 1)}\n`, "application/x-ipynb+json");
  }

  // The three kinds ---------------------------------------------------------------------------------------------------------
  function setUpElsewhere({ box, topic, name, refresh }) {
    const tick = make("input", { type: "checkbox" });
    tick.checked = Boolean(Work.get(topic, name).done);
    tick.addEventListener("change", () => {
      Work.put(topic, name, { done: tick.checked || undefined });
      refresh();
    });
    box.querySelector(".exercise-elsewhere")?.after(make("p", { class: "live-tick" }, make("label", {}, tick, " I have done it in the notebook")));
  }

  function setUpWritten({ box, topic, name, refresh }) {
    const area = make("textarea", { rows: 5, id: `${box.id}-answer`, placeholder: "Write your answer here." });
    area.value = Work.get(topic, name).code || "";
    area.addEventListener("input", () => {
      Work.put(topic, name, { code: area.value || undefined });
      refresh();
    });
    const answer = make("div", { class: "live live-written" }, make("label", { for: area.id }, "Your answer (kept in this browser, graded by a person)"), area);
    const first = box.querySelector(".live-gate, .exercise-hint, .exercise-solution");
    if (first) first.before(answer);
    else box.append(answer);
  }

  function setUpLive(exercise) {
    const { box, topic, name, refresh } = exercise;
    const block = box.querySelector(".exercise-starter").closest("[class*=highlight-], .exercise > *");
    const starter = block.querySelector("pre").textContent.replace(/\n$/, "");
    const label = `Your code: ${box.querySelector(".exercise-title").textContent}`;
    const place = make("div", { class: "live-editor" });
    const check = button("Check", () => go("check"), { class: "live-main", title: "Run the visible checks (Ctrl+Enter)" });
    const run = button("Run", () => go("run"), { title: "Run your code and the notebook's try-it cell" });
    const stop = button("Stop", () => Python.stop({ stopped: true }), { hidden: "" });
    const reset = button("Reset", () => {
      editor.set(starter);
      Work.put(topic, name, { code: undefined, passed: undefined });
      show("Back to the starter. Undo in the editor brings your code back.");
      refresh();
    });
    const status = make("p", { class: "live-status", role: "status" });
    const output = make("pre", { class: "live-output", tabindex: "0", role: "region", "aria-label": "What your code prints", hidden: "" });
    const bar = make("div", { class: "live-bar" }, check, run, stop, reset);
    const keys = make("p", { class: "live-keys" }, "Ctrl+Enter checks. Tab indents, Escape leaves the editor.");
    block.after(make("div", { class: "live" }, place, keys, bar, status, output));

    let editor = { get: () => Work.get(topic, name).code ?? starter, set() {} };

    const show = (words, kind, printed) => {
      status.className = `live-status ${kind || ""}`;
      status.replaceChildren(...[].concat(words));
      output.hidden = !printed;
      output.textContent = printed || "";
    };

    const verdict = ({ reason, line, text }) => {
      const error = /^AssertionError: /.test(reason) ? reason.slice(16) : reason;
      const missing = /^NotImplementedError: $/.test(reason);
      if (reason.includes("does not run in the page")) return [make("strong", {}, "This needs the notebook. "), error.replace(/^\w+: /, "")];
      const parts = [make("strong", {}, missing ? "Not written yet. " : "Not yet. "), make("span", { class: "live-reason" }, missing ? "" : error)];
      if (line && !/^AssertionError/.test(reason)) parts.push(make("span", { class: "live-line" }, `Line ${line} of your code: `, make("code", {}, text)));
      return parts;
    };

    const passedWords = () => {
      const { hiddenChecks: count, hiddenPoints: points } = box.dataset;
      const hidden = `${count} hidden check${count === "1" ? "" : "s"} (${points} point${points === "1" ? "" : "s"}) run${count === "1" ? "s" : ""} at grading.`;
      return [make("strong", {}, "Visible checks pass. "), count === "0" ? "" : hidden];
    };

    async function go(action) {
      const code = editor.get();
      const working = action === "run" ? "Running…" : "Checking…";
      let slow;
      const begin = () => {
        show(working);
        slow = setTimeout(() => show("Still running after 10 s. If this is a loop without an end, Stop ends it; your code is kept."), SLOW_MS);
      };
      const from = box.dataset.python ? `, from ${new URL(box.dataset.python).host}: this copy of the book does not carry it` : "";
      if (Python.isReady()) begin();
      else show(`Starting Python (${DOWNLOAD}, once${from})…`);
      into(status);
      delete status.dataset.reason;
      check.disabled = run.disabled = true;
      stop.hidden = false;
      let answer;
      try {
        answer = await attempt(topic, name, code, action, box.dataset.python, begin);
      } catch (error) {
        answer = { broken: error.message };
      }
      clearTimeout(slow);
      check.disabled = run.disabled = false;
      stop.hidden = true;
      report(action, code, answer);
      into(status);
    }

    function report(action, code, answer) {
      if (answer.busy) return show("Another exercise on this page is running: stop it first.");
      if (answer.stopped) return show("Stopped. Python starts again at the next run.", "bad");
      if (answer.broken) return show(`Python could not start or broke off: ${answer.broken}. Your code is kept; try again.`, "bad");
      status.dataset.reason = answer.reason;
      const note = answer.borrowed?.length ? [make("span", { class: "live-note" }, `Not passed yet, so the reference answer stands in: ${answer.borrowed.join(", ")}.`)] : [];
      if (action === "check") {
        const { attempts = 0 } = Work.get(topic, name);
        Work.put(topic, name, { code, attempts: attempts + 1, passed: answer.passed ? code : undefined });
        refresh();
      }
      if (!answer.passed) return show([...verdict(answer), ...note], "bad", answer.output);
      if (action === "check") return show([...passedWords(), ...note], "good", answer.output);
      return show([answer.output ? "This is what your code and the try-it cell print:" : "It ran, and printed nothing.", ...note], "", answer.output);
    }

    async function open() {
      Python.warmUp(box.dataset.python);
      const wanted = {
        label,
        text: Work.get(topic, name).code ?? starter,
        onChange: () => {
          Python.start(box.dataset.python);  // who writes will check: it is there by then
          const kept = Work.put(topic, name, { code: editor.get() });
          if (!kept) show("This browser keeps nothing: download the notebook before you leave.", "bad");
          refresh();
        },
        onCheck: () => go("check"),
        onLeave: () => check.focus(),
      };
      try {
        editor = codeMirrorEditor(await loadCodeMirror(), wanted);
      } catch (error) {
        editor = plainEditor(wanted);
      }
      // arrow keys in the editor are not the theme's "previous page"
      editor.node.addEventListener("keydown", (event) => event.stopPropagation());
      place.replaceChildren(editor.node);
      block.hidden = true;
    }
    open();
  }

  // A card that is open from the start stands below what the page opens with.
  function whenSeen(box, then) {
    const seen = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      seen.disconnect();
      then();
    });
    seen.observe(box);
  }

  function setUp(box) {
    const { topic, name, kind } = box.dataset;
    const state = make("span", { class: "exercise-state" });
    (box.querySelector(".exercise-effort") || box.querySelector(".exercise-title")).append(state);
    const exercise = { box, topic, name, kind, state };
    let updateGate = () => {};
    exercise.refresh = () => {
      showState(exercise);
      updateGate();
      document.dispatchEvent(new Event("course-work"));
    };
    showState(exercise);
    // What a card holds is made when it is opened, so that the page itself waits for nothing.
    const fill = () => {
      oneHintAtATime(exercise);
      updateGate = gateSolution(exercise);
      updateGate();
      if (kind === "written") setUpWritten(exercise);
      else if (kind === "notebook") setUpElsewhere(exercise);
      else if (FROM_DISK) box.querySelector(".exercise-starter").closest(".exercise > *").after(make("p", { class: "live-note" }, "To run code here, serve the book: ", make("code", {}, "make serve"), "."));
      else setUpLive(exercise);
    };
    if (box.open) whenSeen(box, fill);
    else box.addEventListener("toggle", fill, { once: true });
  }

  function setUpTools(tools) {
    const cards = [...document.querySelectorAll(`.exercise[data-topic="${tools.dataset.topic}"]`)];
    const all = button("Open all", () => {
      const open = cards.some((card) => !card.open);
      for (const card of cards) card.open = open;
    });
    const name = () => { all.textContent = cards.every((card) => card.open) ? "Close all" : "Open all"; };
    for (const card of cards) card.addEventListener("toggle", name);
    const line = tools.querySelector(".exercise-buttons") || tools.appendChild(make("p", { class: "exercise-buttons" }));
    line.prepend(all);
    if (!FROM_DISK) line.append(button("Download with my answers", () => downloadNotebook(tools.dataset.topic), { title: "The notebook of this chapter with what you wrote here, ready to hand in" }));
  }

  // A link to an exercise opens its card.
  function openTarget() {
    const card = document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest(".exercise");
    if (!card || card.open) return;
    card.open = true;
    card.scrollIntoView();
  }

  document.querySelectorAll(".exercise[data-kind]").forEach(setUp);
  document.querySelectorAll(".exercise-tools").forEach(setUpTools);
  addEventListener("hashchange", openTarget);
  openTarget();
  window.CourseLive = { attempt, stop: () => Python.stop({ stopped: true }) };
})();
