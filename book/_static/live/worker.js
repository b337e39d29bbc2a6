// Python of a tab: Pyodide in a module worker, shared by the tab's pages one after the other where the browser keeps it
// for them, else of one page. Messages in: first {start}, then {id, request, life} (JSON for live_runner.run), {stop}.
import { runKernel } from "./kernels.js";

globalThis.runKernel = runKernel;
const POLL_MS = 200;
const readers = new Set();
let python, run, started, stamp;

const tell = (message) => readers.forEach((port) => port.postMessage(message));
const stampOf = ({ headers }) => headers.get("ETag") || headers.get("Last-Modified");

async function start({ pyodide, course, lock }) {
  const archive = fetch(course).then((answer) => {
    if (!answer.ok) throw new Error(`${course} answers ${answer.status}`);
    stamp = stampOf(answer);
    return answer.arrayBuffer();
  });
  archive.catch(() => { /* said where it is waited for */ });
  const { loadPyodide } = await import(`${pyodide}pyodide.mjs`);
  const options = lock ? { lockFileURL: lock, packageBaseUrl: pyodide } : {};
  python = await loadPyodide({ indexURL: pyodide, packages: ["numpy"], ...options });
  python.unpackArchive(await archive, "zip", { extractDir: "/course" });
  python.runPython("import sys; sys.path.insert(0, '/course'); import live_runner; live_runner.install_stand_ins()");
  const { run: whole } = python.pyimport("live_runner");
  // a kernel's result comes later: where WebAssembly can wait for it (JSPI), Python is called so that it can
  run = "Suspending" in WebAssembly ? whole.callPromising.bind(whole) : whole;
}

// The course as this Python knows it, or a newer one by now?
const isOld = (course) => fetch(course, { method: "HEAD" }).then((answer) => answer.ok && stampOf(answer) !== stamp, () => false);

function end() {
  tell({ gone: true });
  close();
}

// A page cannot terminate a shared worker, and a loop without an end hears no message. So a request comes with a `life`,
// the address of a blob of its page: Stop revokes it, and it is gone with its page. Python asks after it in each loop,
// through what it takes for the place of a signal's number, and leaves for good where the life is over.
const isOver = (life) => {
  const question = new XMLHttpRequest();
  try {
    question.open("GET", life, false);
    question.send();
    return question.status !== 200;
  } catch (error) {
    return true;
  }
};

function watch(life) {
  let asked = performance.now(), over = false;
  python.setInterruptBuffer(life && {
    get 0() {
      if (!over && performance.now() - asked > POLL_MS) {
        over = isOver(life);
        asked = performance.now();
      }
      return over ? 2 : 0;
    },
    set 0(value) { /* Python's acknowledgement */ },
  });
}

async function answer(port, { id, request, life }) {
  if (life && isOver(life)) return;
  try {
    watch(life);
    port.postMessage({ id, answer: JSON.parse(await run(request)) });
  } catch (error) {
    if (life && isOver(life)) end();
    else port.postMessage({ broken: String(error.message || error).split("\n").slice(-2).join(" ") });
  } finally {
    watch(null);
  }
}

let queue = Promise.resolve();

function serve(port) {
  readers.add(port);
  port.onmessage = ({ data }) => {
    if (data.stop) return end();
    if (!data.start) {
      queue = queue.then(() => started).then(() => answer(port, data), () => { /* said already */ });
      return undefined;
    }
    const again = Boolean(started);
    started ??= start(data.start);
    return started.then(async () => {
      if (again && (await isOld(data.start.course))) end();
      else port.postMessage({ ready: true });
    }, (error) => port.postMessage({ broken: String(error.message || error) }));
  };
}

if ("onconnect" in globalThis) globalThis.onconnect = ({ ports: [port] }) => serve(port);
else serve(globalThis);
