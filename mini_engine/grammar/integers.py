"""The whole numbers between two bounds, as an expression over their digits."""

from mini_engine.grammar.expressions import EMPTY, NOTHING, alternatives, byte_range, literal, repeat, sequence


def digits(low, high):
    """One digit from low to high."""
    return ("bytes", byte_range(48 + low, 48 + high))


ANY_DIGIT = digits(0, 9)


def integer_range(low, high):
    """Decimal texts of the whole numbers low … high, without leading zeros and -0; None means no bound."""
    parts = []
    if low is None or low < 0:
        parts.append(
            sequence(literal("-"), _positive(1 if high is None else max(-high, 1), None if low is None else -low))
        )
    if (low is None or low <= 0) and (high is None or high >= 0):
        parts.append(literal("0"))
    if high is None or high > 0:
        parts.append(_positive(1 if low is None else max(low, 1), high))
    return alternatives(*parts)


def _positive(low, high):
    """low … high with low at least 1: cut where the number of digits changes."""
    num_low = len(str(low))
    if high is None:
        longer = sequence(digits(1, 9), repeat(ANY_DIGIT, num_low))
        return alternatives(_same_length(str(low), "9" * num_low), longer)
    parts = []
    for size in range(num_low, len(str(high)) + 1):
        first, last = max(low, 10 ** (size - 1)), min(high, 10**size - 1)
        if first <= last:
            parts.append(_same_length(str(first), str(last)))
    return alternatives(*parts) if parts else NOTHING


def _same_length(low, high):
    """Digits between two texts of the same length: those that share the first digit, and those in the middle."""
    if not low:
        return EMPTY
    a, b, size = int(low[0]), int(high[0]), len(low) - 1
    if a == b:
        return sequence(digits(a, a), _same_length(low[1:], high[1:]))
    parts = []
    if low[1:] != "0" * size:
        parts.append(sequence(digits(a, a), _same_length(low[1:], "9" * size)))
        a += 1
    last = None
    if high[1:] != "9" * size:
        last = sequence(digits(b, b), _same_length("0" * size, high[1:]))
        b -= 1
    if a <= b:
        parts.append(sequence(digits(a, b), repeat(ANY_DIGIT, size, size)))
    return alternatives(*parts, *([last] if last else []))
