// The head of a chapter: how much of it the reader has done, as a bar. On the front page: where to go on.
(function () {
  "use strict";

  const Work = window.CourseWork;
  // An exercise as {topic, name, kind, address}.
  const finished = ({ topic, name, kind }) => !["", "tried"].includes(Work.stateOf(topic, name, kind));
  const make = (tag, fields) => Object.assign(document.createElement(tag), fields);

  function addBar(line, exercises) {
    const bar = make("progress", { max: exercises.length });
    const words = make("span", {});
    bar.setAttribute("aria-label", "Exercises done");
    line.append(bar, " ", words);
    const update = () => {
      const done = exercises.filter(finished).length;
      bar.value = done;
      words.textContent = `${done} of ${exercises.length} exercises done`;
      return done;
    };
    update();
    return update;
  }

  function showChapter(line) {
    const cards = document.querySelectorAll(`.exercise[data-topic="${line.dataset.topic}"]`);
    const exercises = [...cards].map(({ id, dataset }) => ({ topic: dataset.topic, name: dataset.name, kind: dataset.kind, address: `#${id}` }));
    if (!exercises.length) return;
    const count = addBar(line, exercises);
    const go = make("a", {});
    line.append(" ", go);
    line.hidden = false;
    const update = () => {
      const done = count();
      const next = exercises.find((one) => !finished(one));
      go.hidden = !next;
      if (next) Object.assign(go, { href: next.address, textContent: done ? "Continue" : "To the exercises" });
    };
    update();
    document.addEventListener("course-work", update);
  }

  // On the front page: a bar for each chapter that was begun, and the way back to the exercise that comes next.
  function showPath() {
    let next = null;
    for (const line of document.querySelectorAll(".path-progress")) {
      const { topic } = line.dataset;
      const exercises = line.dataset.exercises.split(" ").map((entry) => {
        const [name, kind, address] = entry.split(":");
        return { topic, name, kind, address };
      });
      if (!exercises.some(({ name, kind }) => Work.stateOf(topic, name, kind))) continue;
      addBar(line, exercises);
      next = exercises.find((one) => !finished(one)) || next;
    }
    const place = document.querySelector(".course-start");
    if (next && place) place.prepend(make("a", { href: next.address, textContent: "Continue where you were", className: "course-continue" }));
  }

  showPath();
  document.querySelectorAll(".chapter-progress").forEach(showChapter);
})();
