"""A regular expression to an expression over bytes. Python's own parser reads it; what no automaton can do is refused.

`^` and `$` may stand at the two ends only. Look-around and back-references raise GrammarError.
"""

from re import _constants as sre
from re import _parser as parser
from re import error as SyntaxFault

from mini_engine.grammar.expressions import (
    EMPTY,
    MAX_CODE_POINT,
    GrammarError,
    alternatives,
    characters,
    complement,
    literal,
    optional,
    repeat,
    sequence,
    without,
)

MAX_PATTERN_CHARS = 4096
ASCII = (0, 127)
WORD = [(48, 57), (65, 90), (95, 95), (97, 122)]
CATEGORIES = {
    sre.CATEGORY_DIGIT: [(48, 57)],
    sre.CATEGORY_WORD: WORD,
    sre.CATEGORY_SPACE: [(9, 13), (32, 32)],
}
# a negated class stays within ASCII, where Python's classes and ECMA's agree
NEGATED = {
    sre.CATEGORY_NOT_DIGIT: without([ASCII], [(48, 57)]),
    sre.CATEGORY_NOT_WORD: without([ASCII], WORD),
    sre.CATEGORY_NOT_SPACE: without([ASCII], [(9, 13), (28, 32)]),
}
ANY = complement([(10, 10)])


def regex_expression(pattern, one_character=characters, is_search=False):
    """What the whole text must be to match the pattern, a str.

    one_character: ranges of code points -> expression of one of them (a JSON string writes some with a backslash).
    is_search: text may stand before and after the match, as in JSON schema's `pattern`, unless ^ or $ forbid it.
    Raises GrammarError.
    """
    if len(pattern) > MAX_PATTERN_CHARS:
        raise GrammarError(f"the pattern has {len(pattern)} characters, the limit is {MAX_PATTERN_CHARS}")
    try:
        items = list(parser.parse(pattern))
    except (SyntaxFault, RecursionError, OverflowError) as fault:
        raise GrammarError(f"the pattern {pattern[:80]!r} is no regular expression: {fault}") from None
    anything = repeat(one_character([(0, MAX_CODE_POINT)])) if is_search else EMPTY
    before = after = anything
    if items and items[0] == (sre.AT, sre.AT_BEGINNING):
        items, before = items[1:], EMPTY
    if items and items[-1] == (sre.AT, sre.AT_END):
        items, after = items[:-1], EMPTY
    return sequence(before, _join(items, one_character), after)


def _join(items, one_character):
    return sequence(*(_one(kind, value, one_character) for kind, value in items))


def _one(kind, value, one_character):
    """The expression of one piece of the parsed pattern."""
    if kind is sre.LITERAL:
        return one_character([(value, value)])
    if kind is sre.NOT_LITERAL:
        return one_character(complement([(value, value)]))
    if kind is sre.ANY:
        return one_character(ANY)
    if kind is sre.IN:
        return one_character(_class_ranges(value))
    if kind is sre.BRANCH:
        return alternatives(*(_join(branch, one_character) for branch in value[1]))
    if kind is sre.SUBPATTERN:
        group, add_flags, del_flags, items = value
        if not add_flags and not del_flags:
            return _join(items, one_character)
    if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
        low, high, items = value
        part = _join(items, one_character)
        high = None if high is sre.MAXREPEAT else high
        return optional(part) if (low, high) == (0, 1) else repeat(part, low, high)
    raise GrammarError(f"a pattern with {str(kind).lower().replace('_', ' ')} is not supported here")


def _class_ranges(items):
    """Code points of a class in square brackets."""
    is_negated, has_category, ranges = False, False, []
    for kind, value in items:
        if kind is sre.NEGATE:
            is_negated = True
        elif kind is sre.LITERAL:
            ranges.append((value, value))
        elif kind is sre.RANGE:
            ranges.append(value)
        else:
            has_category = True
            ranges += CATEGORIES.get(value) or NEGATED[value]
    if is_negated:
        return without([ASCII] if has_category else [(0, MAX_CODE_POINT)], ranges)
    return ranges


def escaped(ranges):
    """One character of a JSON string out of ranges of code points, as json.dumps(ensure_ascii=False) writes it."""
    short = {ord(c): "\\" + e for c, e in zip('"\\\b\f\n\r\t', '"\\bfnrt', strict=True)}
    special = [*range(32), ord('"'), ord("\\")]
    chosen = [code for code in special if any(low <= code <= high for low, high in ranges)]
    plain = characters(without(ranges, [(code, code) for code in special]))
    return alternatives(plain, *(literal(short.get(code, f"\\u{code:04x}")) for code in chosen))
