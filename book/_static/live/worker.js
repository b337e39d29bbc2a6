// Python of one page: Pyodide in a module worker. Messages in: {id, request} (JSON for live_runner.run), first {start}.
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
  run = python.pyimport("live_runner").run;
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
    postMessage({ id: data.id, answer: JSON.parse(run(data.request)) });
  } catch (error) {
    postMessage({ broken: String(error.message || error).split("\n").slice(-2).join(" ") });
  }
};
