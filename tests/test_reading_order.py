"""A word of the glossary is explained, or linked to the glossary, in the paragraph of its first use or before.

Chapters are read in the order of _toc.yml. A word counts as explained where it stands in bold, and as linked where it
stands in the role {term}. Code, formulas, headings, tables and exercises are not prose.
"""

import re

import pytest

from autograder.assignment.notebooks import ROOT

BOOK = ROOT / "book"
FENCE = re.compile(r"^(`{3,}|:{3,})(?:\{([\w-]+)\})?[^\n]*\n(.*?)^\1[ \t]*$", re.M | re.S)
NOT_PROSE = {"code-cell", "literalinclude", "nbexercise", "math", "course-path", None}
# Words of everyday English: a use that fits this pattern is not the glossary's word.
EVERYDAY = {
    "block": r"code block|building block",
    "head": r"head of (?!keys)|ahead|LM heads?|in the head",
    "key": r"key-value store|press",
    "value": r"known values?|values? of (?:\$|the setting)|same value|learned value",
    "query": r"database query",
    "layer": r"linear layers?",
    "weight": r"by weight",
    "context": r"in context|out of context",
    "sequence": r"end of sequence",
}


def chapters():
    """The pages of the course itself, in order."""
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    return [BOOK / f"{name}.md" for name in re.findall(r"^ +- file: book/((?:\d\d_|map)\w*)", toc, re.M)]


def glossary():
    """{term: regular expression that finds it in prose}."""
    text = (BOOK / "glossary.md").read_text(encoding="utf-8")
    body = text.split(":::{glossary}", 1)[1]
    terms = [line for line in body.splitlines() if line and not line.startswith((" ", ":"))]
    patterns = {}
    for term in terms:
        # acronyms keep their case; other words may start a sentence, and both may be plural
        exact = re.escape(term) if re.search(r"[A-Z]", term) else rf"(?i:{re.escape(term)})"
        patterns[term] = re.compile(rf"(?<![\w-]){exact}(?:e?s)?(?![\w-])")
    return patterns


def prose(text):
    """The page with everything that is not prose blanked out; line numbers stay."""
    text = re.sub(r"\A---\n.*?\n---\n", lambda m: "\n" * m[0].count("\n"), text, flags=re.S)

    def keep(match):
        if match[2] in NOT_PROSE:
            return "\n" * match[0].count("\n")
        head, body = match[0].split("\n", 1)
        return "\n" + FENCE.sub(keep, body)

    text = FENCE.sub(keep, text)
    for noise in (r"\$\$.*?\$\$", r"\$[^$\n]*\$", r"\]\([^)]*\)"):
        text = re.sub(noise, lambda m: "\n" * m[0].count("\n"), text, flags=re.S)
    # of roles and code, only a link to the glossary is kept
    return re.sub(r"(\{[\w:]+\})?`[^`\n]*`", lambda m: m[0] if m[1] == "{term}" else "", text)


def explained(line, term, pattern):
    """Whether this line explains or links the term."""
    links = re.findall(r"\{term\}`([^`]*)`", line)
    targets = [re.sub(r".*<(.*)>", r"\1", link) for link in links]
    return term in targets or any(pattern.search(bold) for bold in re.findall(r"\*\*(.+?)\*\*", line))


def first_uses(pages, terms):
    """[(page, line number, term, line)] of every term that is used before it is explained."""
    known, early = set(), []
    for page in pages:
        for number, line in enumerate(prose(page.read_text(encoding="utf-8")).splitlines(), 1):
            found = {term for term, pattern in terms.items() if term not in known and explained(line, term, pattern)}
            known |= found
            if line.startswith(("#", "|")):
                continue
            for term in terms.keys() - known:
                words = re.sub(EVERYDAY[term], "", line) if term in EVERYDAY else line
                # a longer word of the glossary covers a shorter one inside it
                for longer in terms:
                    if term != longer and term in longer:
                        words = terms[longer].sub("", words)
                if terms[term].search(words):
                    early.append((page.name, number, term, line.strip()[:100]))
                    known.add(term)
    return early


def test_no_word_of_the_glossary_is_used_before_it_is_explained():
    early = first_uses(chapters(), glossary())
    assert not early, "\n".join(f"{page}:{number} {term!r}: {line}" for page, number, term, line in early)


@pytest.mark.parametrize(
    "text, is_early",
    [
        ("A token is cut.\n", True),
        ("A **token** is a piece.\n\nTokens are cut.\n", False),
        ("{term}`Tokens <token>` are cut.\n", False),
        ("Prose.\n\n```{code-cell} python\ntoken = 3\n```\n", False),
        ("`token`\n\n$token$\n", False),
        ("```{predict}\n:answer: 1\n\nHow many tokens?\n\n---\n\nOne.\n```\n", True),
    ],
)
def test_the_check_sees_prose_and_nothing_else(tmp_path, text, is_early):
    page = tmp_path / "page.md"
    page.write_text(text)
    assert bool(first_uses([page], {"token": glossary()["token"]})) is is_early
