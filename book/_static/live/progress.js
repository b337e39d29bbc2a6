// The progress page: what is done, what is left, and the reader's work as one file.
(function () {
  "use strict";

  const Work = window.CourseWork;
  const WORDS = { passed: "visible checks pass", tried: "begun", written: "answer kept", done: "done in the notebook", "": "not begun" };

  // Minutes as a reader plans them: 50 -> "50 minutes", 130 -> "2 h 10 min".
  const duration = (minutes) => (minutes < 60 ? `${minutes} minutes` : `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`);

  function refresh(page) {
    let done = 0, left = 0, points = 0, worth = 0;
    const rows = [...page.querySelectorAll("tbody tr")];
    for (const row of rows) {
      const { topic, name, kind, minutes, points: of } = row.dataset;
      const state = Work.stateOf(topic, name, kind);
      const finished = state !== "" && state !== "tried";
      const cell = row.querySelector(".progress-state");
      cell.textContent = WORDS[state] + (kind === "notebook" && !finished ? " (in the notebook)" : "");
      cell.classList.toggle("passed", finished);
      worth += Number(of);
      if (finished) { done += 1; points += Number(of); } else left += Number(minutes);
    }
    page.querySelector(".progress-summary").textContent =
      `${done} of ${rows.length} exercises done, worth ${points} of ${worth} points; about ${duration(left)} left. ` +
      "What passes here passes the visible checks; hidden checks run when the notebook is graded.";
  }

  function setUp(page) {
    const make = (words, act) => {
      const node = Object.assign(document.createElement("button"), { type: "button", textContent: words });
      node.addEventListener("click", act);
      return node;
    };
    const file = Object.assign(document.createElement("input"), { type: "file", accept: ".json,application/json", hidden: true, id: "progress-file" });
    file.setAttribute("aria-label", "A file of saved work");
    const says = document.createElement("p");
    says.setAttribute("role", "status");
    file.addEventListener("change", async () => {
      try {
        const count = Work.importAll(await file.files[0].text());
        says.textContent = `Took over ${count} exercise${count === 1 ? "" : "s"}.`;
      } catch (error) {
        says.textContent = error.message;
      }
      file.value = "";
      refresh(page);
    });
    let asked = false;
    const clear = make("Forget all my work", () => {
      if (!asked) {
        asked = true;
        clear.textContent = "Really forget it? Save it first";
        return;
      }
      Work.clear();
      asked = false;
      clear.textContent = "Forget all my work";
      says.textContent = "Forgotten.";
      refresh(page);
    });
    const bar = document.createElement("div");
    bar.className = "live-bar";
    bar.append(make("Save my work as a file", () => Work.save("llm-inference-work.json", Work.exportAll(), "application/json")), make("Load a saved file", () => file.click()), clear, file);
    page.querySelector(".progress-summary").after(bar, says);
    window.addEventListener("storage", () => refresh(page));
    refresh(page);
  }

  document.querySelectorAll(".course-progress").forEach(setUp);
})();
