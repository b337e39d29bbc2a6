// Sphinx puts this before its search: glossary entries first, then the chapter that speaks most of the words asked for.
stopwords.push("what", "why", "how", "does", "do", "can", "when", "which", "mean", "i", "my", "me", "you", "from");

// A question is asked for its words: "what is TTFT?" finds the glossary's TTFT.
const parseQuery = Search._parseQuery;
Search._parseQuery = (query) => {
  const words = query.replace(/\?/g, " ").split(/\s+/).filter((word) => word && !stopwords.includes(word.toLowerCase()));
  return parseQuery(words.join(" ") || query);
};

// A question's stems, as Sphinx stems them.
const asked = () => {
  const stemmer = new Stemmer();
  const words = (new URLSearchParams(location.search).get("q") || "").toLowerCase().match(/[\p{L}\p{N}]+/gu) || [];
  return words.filter((word) => !stopwords.includes(word)).map((word) => stemmer.stemWord(word));
};

// 0 where a page has none of the words, towards 1 where they stand close together.
const share = (page) => {
  const counts = (window.searchCounts || {})[page];
  const words = asked();
  if (!counts || !words.length) return 0;
  const parts = words.map((word) => Object.hasOwn(counts, word) ? counts[word] / (counts[word] + 0.004 * counts[""]) : 0);
  return parts.reduce((sum, part) => sum + part, 0) / parts.length;
};

var Scorer = {
  score: ([page, title, anchor, descr, score]) => {
    const isTerm = page === "book/glossary" && /glossary term|\bterm\b/i.test(descr || "");
    if (isTerm) return asked().length <= 2 ? score + 60 : score;
    const bonus = /^book\/(0\d|1[0-2])_/.test(page) ? 12 : /^book\/\d\d_/.test(page) ? 6 : /^book\/(references|instructors)$/.test(page) ? -20 : 0;
    const isExercise = anchor.startsWith("#exercise-");
    return score + 40 * share(page) + (isExercise ? 0 : bonus);
  },
  objNameMatch: 11, objPartialMatch: 6, objPrio: { 0: 15, 1: 5, 2: -5 }, objPrioDefault: 0,
  title: 15, partialTitle: 7, term: 5, partialTerm: 2,
};
