"""Expressions over bytes: what a regular expression and a JSON schema both become before they are an automaton.

An expression is a tuple: ("bytes", set) one byte of a set, ("seq", parts), ("alt", parts), ("repeat", part, low, high)
with high None for no limit, ("ref", name) another rule, ("until", text) anything up to and with the first `text`. A set
of bytes is an integer with bit b set for byte b.
"""

ALL_BYTES = (1 << 256) - 1
MAX_CODE_POINT = 0x10FFFF
EMPTY = ("seq", ())
NOTHING = ("alt", ())


class GrammarError(ValueError):
    """A schema or pattern that cannot be served: not understood, not satisfiable, or too large."""


def byte_range(low, high):
    """The set of the bytes low … high."""
    return (1 << (high + 1)) - (1 << low)


def literal(text):
    """Exactly this text, a str or bytes."""
    data = text.encode() if isinstance(text, str) else text
    return sequence(*(("bytes", 1 << byte) for byte in data))


def sequence(*parts):
    """One part after the other."""
    return parts[0] if len(parts) == 1 else ("seq", parts)


def alternatives(*parts):
    """Any one of the parts; none means that nothing fits."""
    return parts[0] if len(parts) == 1 else ("alt", parts)


def repeat(part, low=0, high=None):
    """The part low to high times."""
    return ("repeat", part, low, high)


def optional(part):
    """The part or nothing."""
    return repeat(part, 0, 1)


def separated(part, separator, low, high):
    """low to high parts with separators between them; high None means no limit."""
    if high is not None and high < max(low, 1):
        return EMPTY if high == low == 0 else NOTHING
    more = repeat(sequence(separator, part), max(low - 1, 0), None if high is None else high - 1)
    listed = sequence(part, more)
    return listed if low else optional(listed)


def characters(ranges):
    """One character out of ranges [(low, high)] of code points, in UTF-8. Surrogates are no characters."""
    return alternatives(*(sequence(*parts) for low, high in ranges for parts in _utf8(low, high)))


def complement(ranges):
    """The code points outside of ranges."""
    result, start = [], 0
    for low, high in sorted(ranges):
        if low > start:
            result.append((start, low - 1))
        start = max(start, high + 1)
    return [*result, (start, MAX_CODE_POINT)] if start <= MAX_CODE_POINT else result


def without(ranges, taken):
    """The code points of ranges that are not in taken."""
    free = complement(taken)
    pairs = ((max(a, c), min(b, d)) for a, b in ranges for c, d in free)
    return [(low, high) for low, high in pairs if low <= high]


def _utf8(low, high):
    """Sequences of byte sets that together encode low … high: cut where the length or a leading byte changes."""
    for last in (0x7F, 0x7FF, 0xD7FF, 0xDFFF, 0xFFFF):
        if low <= last < high:
            return _utf8(low, last) + _utf8(last + 1, high)
    if 0xD800 <= low <= 0xDFFF or low > high:
        return []
    for shift in (6, 12, 18):
        tail = (1 << shift) - 1
        if low >> shift != high >> shift and high > 0x7F:
            if low & tail:
                return _utf8(low, low | tail) + _utf8((low | tail) + 1, high)
            if high & tail != tail:
                return _utf8(low, (high & ~tail) - 1) + _utf8(high & ~tail, high)
    pairs = zip(chr(low).encode(), chr(high).encode(), strict=True)
    return [[("bytes", byte_range(first, last)) for first, last in pairs]]
