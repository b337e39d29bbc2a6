"""Every letter of every formula is in the tables of book/notation.md."""

import re
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[1] / "book"
PAGES = sorted(path.name for path in BOOK.glob("*.md"))
GREEK = "alpha|beta|gamma|delta|Delta|epsilon|theta|Theta|lambda|mu|sigma|tau|phi|rho|ell"
# words that stand upright, and matrices, which are bold
FENCE = re.compile(r"^(`{3,})(?:\{([\w-]+)\})?[^\n]*\n(.*?)^\1[ \t]*$", re.M | re.S)
CODE = (None, "code-cell", "literalinclude")
NAMED = re.compile(r"\\(?:text|mathrm|operatorname|texttt|mathbf|begin|end)\s*\{[^{}]*\}")


def formulas(text):
    """The formulas of a MyST page: what stands between dollars outside of code."""
    text = FENCE.sub(lambda found: "" if found[2] in CODE else found[3], text)
    text = re.sub(r"`[^`\n]+`", "", text)
    display = re.findall(r"\$\$(.+?)\$\$", text, flags=re.S)
    return display + re.findall(r"(?<!\\)\$([^$\n]+?)\$", re.sub(r"\$\$.+?\$\$", "", text, flags=re.S))


def letters(formula):
    """Its letters, without subscripts (`d_{ff}` is a `d`), commands and upright words."""
    formula = NAMED.sub(" ", formula)
    formula = re.sub(r"_(?:\{[^{}]*\}|\\?\w)", " ", formula)
    greek = {f"\\{name}" for name in re.findall(rf"\\({GREEK})(?![A-Za-z])", formula)}
    return greek | set(re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", formula)))


def tables():
    """(letters of all chapters, {chapter: letters of its own}) as the notation page lists them."""
    everywhere, own = set(), {}
    for line in (BOOK / "notation.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| $") or len(cells) not in (3, 4):
            continue
        found = set().union(*(letters(formula) for formula in formulas(cells[0])))
        if len(cells) == 4:
            everywhere |= found
            continue
        for chapter in cells[1].split(", "):
            own.setdefault(chapter.zfill(2) if chapter.isdigit() else chapter, set()).update(found)
    return everywhere, own


def test_a_formula_behind_a_closed_fence_is_found():
    text = "```{drawing} one\n```\n\n$a$\n\n```{code-cell} python\n'$b$'\n```\n\n```{predict}\n$c$\n```\n"
    assert sorted(formulas(text)) == ["a", "c"]


def test_no_letter_stands_in_both_tables():
    everywhere, own = tables()
    assert len(everywhere) > 15 and len(own) > 5, "the tables of notation.md were not found"
    assert not everywhere & set().union(*own.values())


@pytest.mark.parametrize("page", [name for name in PAGES if name != "notation.md"])
def test_every_letter_is_in_the_tables(page):
    everywhere, own = tables()
    text = (BOOK / page).read_text()
    known = everywhere | own.get(page[:2] if page[0].isdigit() else page.removesuffix(".md"), set())
    unknown = {formula: missing for formula in formulas(text) if (missing := letters(formula) - known)}
    assert not unknown, f"{page} uses letters that notation.md does not explain: {unknown}"
