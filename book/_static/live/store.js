// What the reader did, kept in this browser only: one entry per exercise, and one file to carry it elsewhere.
//
// Entry "exercise:03_kv_cache/kv_bytes_per_token" = {code, passed, attempts, hints, shown, done}: `code` as typed (or the
// text of a written answer), `passed` the code that last passed the visible checks, `attempts` and `hints` counts, `shown`
// whether the solution was asked for, `done` the reader's own tick for what the page cannot run.
(function () {
  "use strict";

  const PREFIX = "exercise:";
  const FORMAT = "llm-inference-book-work";
  const FIELDS = { code: "string", passed: "string", attempts: "number", hints: "number", shown: "boolean", done: "boolean" };

  // Topics that were renumbered, by the name they had before: work kept under it moves at the first visit.
  const RENAMED = {
    "03_flops_and_roofline": "04_flops_and_roofline", "04_kv_cache": "03_kv_cache", "13_gpu_lab": "14_gpu_lab",
  };

  const today = (id) => id.replace(/^\w+(?=\/)/, (topic) => RENAMED[topic] || topic);
  const keyOf = (topic, name) => `${PREFIX}${topic}/${name}`;

  function get(topic, name) {
    try {
      return JSON.parse(localStorage.getItem(keyOf(topic, name))) || {};
    } catch (error) {
      return {};
    }
  }

  // Merge fields into an entry; a field set to undefined goes. Returns false when the browser keeps nothing.
  function put(topic, name, fields) {
    const entry = { ...get(topic, name), ...fields };
    try {
      localStorage.setItem(keyOf(topic, name), JSON.stringify(entry));
      return true;
    } catch (error) {
      return false;
    }
  }

  /** "passed", "tried", "written", "done" or "" (not begun). */
  function stateOf(topic, name, kind) {
    const entry = get(topic, name);
    if (kind === "written") return (entry.code || "").trim() ? "written" : "";
    if (entry.passed !== undefined) return "passed";
    if (entry.done) return "done";
    return entry.attempts || entry.code !== undefined ? "tried" : "";
  }

  function keys() {
    const found = [];
    for (let i = 0; i < localStorage.length; i += 1) {
      const key = localStorage.key(i);
      if (key.startsWith(PREFIX)) found.push(key);
    }
    return found.sort();
  }

  function exportAll() {
    const exercises = {};
    for (const key of keys()) {
      const [topic, name] = key.slice(PREFIX.length).split("/");
      exercises[`${topic}/${name}`] = get(topic, name);
    }
    return JSON.stringify({ format: FORMAT, version: 1, exercises }, null, 1);
  }

  /** Take over the work of an exported file. Returns the number of exercises; throws an Error with one clear line. */
  function importAll(text) {
    let data;
    try {
      data = JSON.parse(text);
    } catch (error) {
      throw new Error("This is not a file that this book wrote: it is not JSON.");
    }
    if (!data || data.format !== FORMAT || data.version !== 1 || typeof data.exercises !== "object" || !data.exercises) {
      throw new Error("This is not a file that this book wrote.");
    }
    const entries = Object.entries(data.exercises);
    for (const [id, entry] of entries) {
      const whole = entry && typeof entry === "object" && Object.entries(entry).every(([field, value]) => typeof value === FIELDS[field]);
      if (!/^\w+\/\w+$/.test(id) || !whole) throw new Error(`The file's entry “${id.slice(0, 60)}” cannot be read; nothing was changed.`);
    }
    for (const [id, entry] of entries) localStorage.setItem(PREFIX + today(id), JSON.stringify(entry));
    return entries.length;
  }

  // What is there under the new name already is newer and stays.
  function moveRenamed() {
    for (const key of keys()) {
      const place = PREFIX + today(key.slice(PREFIX.length));
      if (place === key) continue;
      if (localStorage.getItem(place) === null) localStorage.setItem(place, localStorage.getItem(key));
      localStorage.removeItem(key);
    }
  }

  const clear = () => keys().forEach((key) => localStorage.removeItem(key));

  /** Offer text as a file to save. */
  function save(name, text, type) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  try {
    moveRenamed();
  } catch (error) { /* a browser that keeps nothing has nothing to move */ }

  window.CourseWork = { get, put, stateOf, exportAll, importAll, clear, save };
})();
