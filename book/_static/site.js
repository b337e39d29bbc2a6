// Opened from disk, a page may not read the other pages: search then lists its hits without an excerpt of each.
if (location.protocol === "file:" && window.DOCUMENTATION_OPTIONS) DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// Paper cannot open a fold: hints and revealed answers are printed, solutions and checks stay in the book.
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("article details:not(.exercise-solution, .exercise-checks)")) {
    fold.hidden = false;
    fold.open = true;
  }
});
