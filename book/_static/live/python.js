// Python for the page: window.CoursePython. It starts when the reader begins to write, at the latest at the first use,
// and again after Stop, in a worker. Where a shared worker outlives its page (`extendedLifetime`), it is the tab's: the
// next page finds Python started. Two tabs have two, so that an endless loop in one is nothing to the other. Elsewhere
// each page has a worker of its own.
(function () {
  "use strict";

  const LIVE = new URL("./", document.currentScript.src).href;
  const SCRIPT = `${LIVE}worker.js`;
  const KEY = "course-python";  // in sessionStorage: the name of the tab's worker, once it has one
  const python = { line: null, asked: false, ready: false, pending: null, jobs: 0 };

  const remember = (name) => {
    try {
      if (name) sessionStorage.setItem(KEY, name);
      else sessionStorage.removeItem(KEY);
    } catch (error) { /* a browser that keeps nothing starts Python on each page */ }
  };
  const remembered = () => {
    try {
      return sessionStorage.getItem(KEY);
    } catch (error) {
      return null;
    }
  };

  // A browser that knows the option reads it; an empty worker asks.
  let outlives;
  function canOutlive() {
    if (outlives !== undefined) return outlives;
    outlives = false;
    const options = { get extendedLifetime() { outlives = true; return false; } };
    try {
      sessionStorage.getItem(KEY);
      new SharedWorker("data:text/javascript,close()", options);
    } catch (error) { outlives = false; }
    return outlives;
  }

  function hear(data) {
    if (data.ready) {
      python.ready = true;
      python.pending?.onReady();
    } else if (data.gone) drop({ broken: "another page of this tab ended it" });
    else if (data.broken) stop({ broken: data.broken });
    else if (data.id === python.jobs) settle(data.answer);
  }

  // A line to Python: what still comes over one that was given up is not heard.
  function openLine(name) {
    const worker = name ? new SharedWorker(SCRIPT, { type: "module", name, extendedLifetime: true }) : new Worker(SCRIPT, { type: "module" });
    const post = (message) => (worker.port || worker).postMessage(message);
    const line = { shared: Boolean(name), post, end: () => (name ? post({ stop: true }) : worker.terminate()) };
    const current = (act) => (event) => { if (python.line === line) act(event); };
    (worker.port || worker).onmessage = current(({ data }) => hear(data));
    worker.onerror = current((event) => stop({ broken: event.message || "its files could not be loaded" }));
    return line;
  }

  function settle(answer) {
    const { pending } = python;
    python.pending = null;
    if (!pending) return;
    URL.revokeObjectURL(pending.life);
    pending.resolve(answer);
  }

  function drop(answer) {
    Object.assign(python, { line: null, asked: false, ready: false });
    settle(answer);
  }

  /** End Python, wherever it runs; what is waiting for it gets this answer. */
  function stop(answer) {
    const { line } = python;
    remember(null);
    drop(answer);
    line?.end();
  }

  function start(address) {
    if (!python.line) {
      const shared = canOutlive();
      const name = remembered() || Math.random().toString(36).slice(2);
      remember(name);
      python.line = openLine(shared ? name : null);
    }
    if (python.asked) return;
    python.asked = true;
    python.line.post({
      start: {
        pyodide: address || `${LIVE}../vendor/pyodide/`,
        lock: address ? null : `${LIVE}pyodide-lock.json`,
        course: `${LIVE}course.zip`,
      },
    });
  }

  // Who has used Python in this tab finds it started when a card opens.
  const warmUp = (address) => { if (remembered()) start(address); };

  /** One request of live_runner at a time; resolves to its answer, {busy}, {stopped} or {broken: "why"}. */
  function ask(request, address, onReady) {
    if (python.pending) return Promise.resolve({ busy: true });
    return new Promise((resolve) => {
      python.jobs += 1;
      start(address);
      const life = python.line.shared ? URL.createObjectURL(new Blob(["runs"])) : undefined;
      python.pending = { resolve, life, onReady: onReady || (() => {}) };
      python.line.post({ id: python.jobs, life, request: JSON.stringify(request) });
    });
  }

  // What still runs when the page is left is ended with it. A page brought back asks again for what it had.
  addEventListener("pagehide", () => { if (python.pending && python.ready) stop({ stopped: true }); });
  addEventListener("pageshow", ({ persisted }) => { if (persisted && !python.pending) drop(); });

  // The tab's worker lives on while a page holds its line.
  if (location.protocol !== "file:" && remembered() && canOutlive()) python.line = openLine(remembered());

  window.CoursePython = { ask, stop, start, warmUp, isReady: () => python.ready };
})();
