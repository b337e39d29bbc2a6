"""A JSON schema to rules over bytes: the text that json.dumps(value, ensure_ascii=False) would write for a valid value.

Properties come in the order of the schema. A keyword that is not understood raises GrammarError: what it forbids would
be written. Without `additionalProperties`, an object has only the properties that the schema lists.
"""

import json

from mini_engine.grammar.expressions import (
    EMPTY,
    NOTHING,
    GrammarError,
    alternatives,
    byte_range,
    characters,
    complement,
    literal,
    optional,
    repeat,
    separated,
    sequence,
)
from mini_engine.grammar.integers import integer_range
from mini_engine.grammar.regex import escaped, regex_expression

MAX_SCHEMA_CHARS = 100_000
MAX_COUNT = 10_000
NOTES = {"$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "format",
         "deprecated", "readOnly", "writeOnly"}  # fmt: skip
KEYWORDS = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "string": {"minLength", "maxLength", "pattern"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "number": set(),
    "boolean": set(),
    "null": set(),
}
ANYWHERE = NOTES | {"type", "enum", "const", "anyOf", "$ref"}
DIGIT, HEX = ("bytes", byte_range(48, 57)), ("bytes", byte_range(48, 57) | byte_range(65, 70) | byte_range(97, 102))
NON_ZERO = ("bytes", byte_range(49, 57))
WHOLE = alternatives(literal("0"), sequence(NON_ZERO, repeat(DIGIT)))
INTEGER = sequence(optional(literal("-")), WHOLE)
EXPONENT = sequence(("bytes", 1 << 69 | 1 << 101), optional(("bytes", 1 << 43 | 1 << 45)), repeat(DIGIT, 1))
NUMBER = sequence(INTEGER, optional(sequence(literal("."), repeat(DIGIT, 1))), optional(EXPONENT))
# \ud800 … \udfff are halves of characters: two of them would count as one
FIRST_TWO = alternatives(
    sequence(("bytes", HEX[1] & ~(1 << 68 | 1 << 100)), HEX),
    sequence(("bytes", 1 << 68 | 1 << 100), ("bytes", byte_range(48, 55))),
)
ESCAPE = sequence(
    literal("\\"),
    alternatives(
        ("bytes", sum(1 << byte for byte in b'"\\/bfnrt')),
        sequence(literal("u"), FIRST_TWO, HEX, HEX),
    ),
)
PLAIN = characters(complement([(0, 31), (34, 34), (92, 92)]))
STRING = sequence(literal('"'), repeat(("ref", "character")), literal('"'))
MEMBER = sequence(("ref", "string"), literal(": "), ("ref", "value"))
GENERIC = {  # JSON itself
    "character": alternatives(PLAIN, ESCAPE),
    "string": STRING,
    "object": sequence(literal("{"), separated(MEMBER, literal(", "), 0, None), literal("}")),
    "array": sequence(literal("["), separated(("ref", "value"), literal(", "), 0, None), literal("]")),
    "value": alternatives(
        *(("ref", name) for name in ("string", "object", "array")), NUMBER, *map(literal, ("true", "false", "null"))
    ),
}
ANY_OBJECT = {**GENERIC, "root": ("ref", "object")}


def schema_rules(schema):
    """The rules of a JSON schema, "root" among them. Raises GrammarError, with the place in the schema."""
    try:
        text = json.dumps(schema)
    except (TypeError, ValueError, RecursionError) as error:
        raise GrammarError(f"the schema is not JSON: {error}") from None
    if len(text) > MAX_SCHEMA_CHARS:
        raise GrammarError(f"the schema has {len(text)} characters, the limit is {MAX_SCHEMA_CHARS}")
    try:
        return _Reader(schema).rules
    except RecursionError:
        raise GrammarError("the schema is nested too deeply") from None


class _Reader:
    """Turns one schema into rules; each $ref becomes a rule of its own, so a schema may refer to itself."""

    def __init__(self, schema):
        self.schema = schema
        self.rules = {**GENERIC}
        self.rules["root"] = self.read(schema, "#")

    def read(self, schema, place):
        """The expression of a schema. place: where it stands, for messages."""
        if schema is True:
            return ("ref", "value")
        if schema is False:
            return NOTHING
        if not isinstance(schema, dict):
            raise GrammarError(f"{place}: a schema is an object, true or false, not {str(schema)[:40]!r}")
        types = schema.get("type", [])
        types = types if isinstance(types, list) else [types]
        for name in types:
            if name not in KEYWORDS:
                raise GrammarError(f"{place}: there is no type {str(name)[:40]!r}")
        self._check_keywords(schema, types, place)
        choosers = [name for name in ("enum", "const", "anyOf", "$ref") if name in schema]
        if len(choosers) > 1 or (choosers and set(schema) & set().union(*KEYWORDS.values())):
            raise GrammarError(f"{place}: {' and '.join(choosers)} cannot be combined with other keywords here")
        if choosers:
            if types and choosers[0] in ("anyOf", "$ref"):
                raise GrammarError(f"{place}: {choosers[0]} cannot be combined with type here")
            return self._choose(choosers[0], schema[choosers[0]], types, place)
        if not types:
            types = [name for name, words in KEYWORDS.items() if words & set(schema)] or None
            if types is None:
                return ("ref", "value")
            if len(types) > 1:
                raise GrammarError(f"{place}: name the type")
        return alternatives(*(getattr(self, f"_read_{name}")(schema, place) for name in types))

    def _check_keywords(self, schema, types, place):
        known = ANYWHERE.union(*(KEYWORDS[name] for name in types or KEYWORDS))
        if unknown := sorted(map(str, set(schema) - known)):
            raise GrammarError(f"{place}: the keyword {unknown[0][:40]!r} is not supported here")

    def _choose(self, chooser, value, types, place):
        """enum, const, anyOf or $ref."""
        if chooser == "$ref":
            return ("ref", self._resolve(value, place))
        if chooser == "const":
            value = [value]
        if not isinstance(value, list) or not value:
            raise GrammarError(f"{place}/{chooser}: a list with something in it is needed")
        if chooser == "anyOf":
            return alternatives(*(self.read(each, f"{place}/anyOf/{i}") for i, each in enumerate(value)))
        fitting = [each for each in value if not types or any(_has_type(each, name) for name in types)]
        return alternatives(*(literal(json.dumps(each, ensure_ascii=False)) for each in fitting))

    def _resolve(self, ref, place):
        """The name of the rule for "#/…"."""
        if not isinstance(ref, str) or (ref != "#" and not ref.startswith("#/")):
            raise GrammarError(f"{place}/$ref: only references within the schema (#/…) are followed")
        if ref not in self.rules:
            found = self.schema
            for part in ref.removeprefix("#").split("/")[1:]:
                part = part.replace("~1", "/").replace("~0", "~")
                if not isinstance(found, dict) or part not in found:
                    raise GrammarError(f"{place}/$ref: {ref[:80]!r} is not in the schema")
                found = found[part]
            self.rules[ref] = NOTHING  # stands for itself while it is read
            self.rules[ref] = self.read(found, ref)
        return ref

    def _read_object(self, schema, place):
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if not isinstance(properties, dict) or not isinstance(required, list) or {*map(type, required)} - {str}:
            raise GrammarError(f"{place}: properties is an object and required a list of names")
        others = schema.get("additionalProperties", False if properties or required else True)
        properties = {**properties, **{name: others for name in required if name not in properties}}
        if not properties and others is not False:
            member = sequence(("ref", "string"), literal(": "), self.read(others, f"{place}/additionalProperties"))
            return sequence(literal("{"), separated(member, literal(", "), 0, None), literal("}"))
        members = []
        for name, each in properties.items():
            value = self.read(each, f"{place}/properties/{name}")
            members.append((sequence(literal(json.dumps(name, ensure_ascii=False) + ": "), value), name in required))
        return sequence(literal("{"), self._members(members, place), literal("}"))

    def _members(self, members, place):
        """Members in order, the optional ones or not; a rule for each place in the list, before and after a comma."""
        for with_comma in (False, True):
            self.rules[place, len(members), with_comma] = EMPTY
        for i, (member, is_required) in reversed(list(enumerate(members))):
            self.rules[place, i] = member  # called twice below, laid out once
            for with_comma in (False, True):
                written = sequence(
                    literal(", " if with_comma else ""), ("ref", (place, i)), ("ref", (place, i + 1, True))
                )
                skipped = () if is_required else (("ref", (place, i + 1, with_comma)),)
                self.rules[place, i, with_comma] = alternatives(written, *skipped)
        return ("ref", (place, 0, False))

    def _read_array(self, schema, place):
        low, high = _counts(schema, "minItems", "maxItems", place)
        first = schema.get("prefixItems", [])
        if first:
            is_all = isinstance(first, list) and (schema.get("items") is False or high == len(first))
            if not is_all or high not in (None, len(first)):
                raise GrammarError(f"{place}: prefixItems has to list all items here: say items: false")
            inside = EMPTY if low <= len(first) else NOTHING
            for i, each in reversed(list(enumerate(first))):
                item = sequence(literal(", " if i else ""), self.read(each, f"{place}/prefixItems/{i}"), inside)
                inside = item if i < low else optional(item)
        else:
            self.rules[place, "items"] = self.read(schema.get("items", True), f"{place}/items")
            inside = separated(("ref", (place, "items")), literal(", "), low, high)
        return sequence(literal("["), inside, literal("]"))

    def _read_string(self, schema, place):
        low, high = _counts(schema, "minLength", "maxLength", place)
        if "pattern" not in schema:
            if (low, high) == (0, None):
                return ("ref", "string")
            return sequence(literal('"'), repeat(("ref", "character"), low, high), literal('"'))
        if (low, high) != (0, None) or not isinstance(schema["pattern"], str):
            raise GrammarError(f"{place}: pattern stands alone here, without minLength and maxLength")
        return sequence(literal('"'), regex_expression(schema["pattern"], escaped, is_search=True), literal('"'))

    def _read_integer(self, schema, place):
        bounds = {name: schema[name] for name in KEYWORDS["integer"] if name in schema}
        for name, value in bounds.items():
            if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 10**18:
                raise GrammarError(f"{place}/{name}: a whole number below 10^18 is needed, not {str(value)[:40]!r}")
        lows = [*([bounds["minimum"]] if "minimum" in bounds else []),
                *([bounds["exclusiveMinimum"] + 1] if "exclusiveMinimum" in bounds else [])]  # fmt: skip
        highs = [*([bounds["maximum"]] if "maximum" in bounds else []),
                 *([bounds["exclusiveMaximum"] - 1] if "exclusiveMaximum" in bounds else [])]  # fmt: skip
        return integer_range(max(lows, default=None), min(highs, default=None)) if bounds else INTEGER

    def _read_number(self, schema, place):
        return NUMBER

    def _read_boolean(self, schema, place):
        return alternatives(literal("true"), literal("false"))

    def _read_null(self, schema, place):
        return literal("null")


def _counts(schema, low_name, high_name, place):
    low, high = schema.get(low_name, 0), schema.get(high_name)
    for name, value in ((low_name, low), (high_name, 0 if high is None else high)):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
            raise GrammarError(f"{place}/{name}: a whole number from 0 to {MAX_COUNT} is needed, not {value!r}")
    return low, high


def _has_type(value, name):
    types = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int}
    if name in ("integer", "number") and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if name == "number" else types[name])
