// Python of one page: Pyodide in a module worker. Messages in: {id, request} (JSON for live_runner.run), first {start}.
import { runKernel } from "./kernels.js";

globalThis.runKernel = runKernel;
let run;

async function start({ pyodide, course, lock }) {
  const { loadPyodide } = await import(`${pyodide}pyodide.mjs`);
  const options = lock ? { lockFileURL: lock, packageBaseUrl: pyodide } : {};
  const python = await loadPyodide({ indexURL: pyodide, ...options });
  const [archive] = await Promise.all([
    fetch(course).then((answer) => {
      if (!answer.ok) throw new Error(`${course} answers ${answer.status}`);
      return answer.arrayBuffer();
    }),
    python.loadPackage("numpy", { messageCallback() {} }),
  ]);
  python.unpackArchive(archive, "zip", { extractDir: "/course" });
  python.runPython("import sys; sys.path.insert(0, '/course'); import live_runner; live_runner.install_stand_ins()");
  const { run: whole } = python.pyimport("live_runner");
  // a kernel's result comes later: where WebAssembly can wait for it (JSPI), Python is called so that it can
  run = "Suspending" in WebAssembly ? whole.callPromising.bind(whole) : whole;
}

let started;
onmessage = async ({ data }) => {
  if (data.start) {
    started = start(data.start);
    started.then(() => postMessage({ ready: true }), (error) => postMessage({ broken: String(error.message || error) }));
    return;
  }
  try {
    await started;
  } catch (error) {
    return; // said already
  }
  try {
    postMessage({ id: data.id, answer: JSON.parse(await run(data.request)) });
  } catch (error) {
    postMessage({ broken: String(error.message || error).split("\n").slice(-2).join(" ") });
  }
};
