// The head of a chapter: how much of it the reader has done, as a bar. On the front page: where to go on.
(function () {
  "use strict";

  const Work = window.CourseWork;
  const finished = (card) => {
    const state = Work.stateOf(card.dataset.topic, card.dataset.name, card.dataset.kind);
    return state !== "" && state !== "tried";
  };

  function showProgress(line) {
    const cards = [...document.querySelectorAll(`.exercise[data-topic="${line.dataset.topic}"]`)];
    if (!cards.length) return;
    const update = () => {
      const done = cards.filter(finished).length;
      bar.value = done;
      words.textContent = `${done} of ${cards.length} exercises done`;
      const next = cards.find((card) => !finished(card));
      go.hidden = !next;
      if (next) {
        go.href = `#${next.id}`;
        go.textContent = done ? "Continue" : "To the exercises";
      }
    };
    const bar = Object.assign(document.createElement("progress"), { max: cards.length });
    const words = document.createElement("span");
    const go = document.createElement("a");
    bar.setAttribute("aria-label", "Exercises done");
    line.append(bar, " ", words, " ", go);
    line.hidden = false;
    update();
    document.addEventListener("course-work", update);
  }

  document.querySelectorAll(".chapter-progress").forEach(showProgress);
})();
