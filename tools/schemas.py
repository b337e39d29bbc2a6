"""Fifty JSON schemas whose texts come to an end by themselves, for the recordings of chapter 15.

They hold every keyword that mini_engine.grammar.schema knows. What could go on for ever at temperature 2 has a bound:
lengths of strings and lists, the digits of a number, the depth that a recursive schema expects.
"""

TEXT = {"type": "string", "maxLength": 16}
WORD = {"type": "string", "minLength": 1, "maxLength": 8}
FLAG = {"type": "boolean"}
DAY = {"type": "string", "pattern": "^20\\d{2}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])$"}


def closed(**properties):
    """An object with just these members, all required."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def some(required, **properties):
    """An object with these members, of which only some are required."""
    return closed(**properties) | {"required": list(required)}


def whole(low, high):
    """A whole number from low to high."""
    return {"type": "integer", "minimum": low, "maximum": high}


def listed(items, least, most):
    """A list of at least and at most so many items."""
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def row(*items, least=None):
    """A list with an own schema for each place."""
    return {"type": "array", "prefixItems": list(items), "items": False, "minItems": least or len(items)}


def text(pattern):
    """A string that matches a pattern as a whole."""
    return {"type": "string", "pattern": f"^{pattern}$"}


def either(*schemas):
    """What one of the schemas accepts."""
    return {"anyOf": list(schemas)}


def tree(**members):
    """A recursive object: `members`, and at most two children of its own kind."""
    node = some(members, **members, kids=listed({"$ref": "#/$defs/n"}, 0, 2))
    return {"$ref": "#/$defs/n", "$defs": {"n": node}}


# the ten that the chapter shows one by one
SHOWN = {
    "person": closed(name=TEXT, age=whole(0, 120)),
    "verdict": closed(label={"enum": ["good", "bad", "neither"]}, sure=FLAG),
    "flags": listed(FLAG, 1, 6),
    "code": text("[A-Z]{2}-\\d{4}"),
    "order": closed(
        id=whole(1, 9999), items={"type": "array", "maxItems": 2, "items": closed(sku=TEXT, n=whole(1, 9))}
    ),
    "maybe": some("b", a=FLAG, b=FLAG, c=FLAG, d=FLAG),
    "union": either(closed(error=TEXT), closed(value=whole(-50, 50))),
    "tree": tree(v={"enum": [1, 2, 3]}),
    "pair": row(TEXT, {"type": ["null", "boolean"]}),
    "call": closed(tool={"const": "weather"}, city=TEXT, unit={"enum": ["C", "F"]}),
}
SCHEMAS = SHOWN | {
    "null": {"type": "null"},
    "constant": {"const": {"ok": True, "errors": []}},
    "enum of many types": {"enum": [None, True, -3, 2.5, "é", [1, 2], {"a": "b"}]},
    "enum of one type": {"type": "string", "enum": ["north", "northeast", "east", 7]},
    "small number": whole(-17, 1034),
    "number above": {"type": "integer", "exclusiveMinimum": 95, "maximum": 100_000},
    "number below": {"type": "integer", "minimum": -100_000, "exclusiveMaximum": -7},
    "either number": either(whole(0, 9), whole(100, 199), whole(-5, -1)),
    "text": TEXT,
    "exact length": {"type": "string", "minLength": 5, "maxLength": 5},
    "empty or not": {"type": "string", "maxLength": 1},
    "date": DAY,
    "time": text("([01]\\d|2[0-3]):[0-5]\\d(:[0-5]\\d)?"),
    "colour": text("#([0-9a-f]{3}|[0-9a-f]{6})"),
    "address": text("[a-z]{1,8}@[a-z]{1,8}\\.(com|org|net)"),
    "version": text("v?\\d{1,2}(\\.\\d{1,2}){1,2}(-(alpha|beta)\\.\\d)?"),
    "telephone": text("\\+\\d{1,3}( \\d{2,4}){2,3}"),
    "not these": text('[^a-z"]{3,6}'),
    "Greek": text("[α-ω]{2,6}"),
    "words": listed(WORD, 2, 4),
    "scores": listed(whole(0, 10), 3, 5),
    "grid": listed(listed({"enum": [0, 1]}, 3, 3), 3, 3),
    "row of three": row(WORD, whole(1, 31), FLAG),
    "row with an end": row(WORD, whole(1, 9), DAY, least=1),
    "empty list": {"type": "array", "maxItems": 0},
    "list of mixed": listed({"type": ["boolean", "null"]}, 0, 5),
    "list of either": listed(either(whole(0, 99), FLAG, closed(x=FLAG)), 1, 4),
    "nothing required": some((), a=FLAG, b=whole(0, 9), c=WORD),
    "last required": some("d", a=FLAG, b=FLAG, c=FLAG, d=DAY),
    "names to escape": closed(**{'a"b': FLAG, "a\\b": FLAG, "line\nbreak": FLAG, "größe": whole(30, 50)}),
    "deep": closed(a=closed(b=closed(c=closed(d=closed(e=whole(0, 9)))))),
    "weather": closed(city=WORD, days=listed(closed(day=DAY, low=whole(-30, 20), high=whole(-10, 45)), 1, 2)),
    "card": closed(name=TEXT, rank={"enum": ["ace", "king", "queen"]}, suits=listed({"enum": ["♠", "♥"]}, 0, 3)),
    "shape": either(
        closed(kind={"const": "circle"}, r=whole(1, 99)),
        closed(kind={"const": "box"}, w=whole(1, 99), h=whole(1, 99)),
    ),
    "result": either(
        closed(ok={"const": True}, value=WORD), closed(ok={"const": False}, error=WORD, code=whole(400, 599))
    ),
    "choice of calls": either(
        closed(name={"const": "add"}, arguments=closed(a=whole(-99, 99), b=whole(-99, 99))),
        closed(name={"const": "find"}, arguments=some(("query",), query=WORD, limit=whole(1, 20))),
    ),
    "file": {"$ref": "#/$defs/file", "$defs": {"file": closed(path=text("(/[a-z]{1,6}){1,3}"), bytes=whole(0, 10**6))}},
    "two of one": {
        **closed(start={"$ref": "#/$defs/p"}, end={"$ref": "#/$defs/p"}),
        "$defs": {"p": closed(x=whole(0, 99), y=whole(0, 99))},
    },
    "list in a tree": tree(tags=listed(WORD, 0, 2)),
    "chain": {
        "$ref": "#/$defs/c",
        "$defs": {"c": some("v", v=whole(0, 9), next=either({"type": "null"}, {"$ref": "#/$defs/c"}))},
    },
}
