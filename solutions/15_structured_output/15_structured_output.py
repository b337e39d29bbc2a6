# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 15 · Structured output
#
# A program that reads a model's answer wants JSON of a certain form, always. An automaton over bytes knows after each token which bytes may follow, and every token that would break the form is forbidden before one is drawn. In this notebook you write the parts: a step of the automaton, the road from a schema to a pattern, the walk over the vocabulary, the mask, what it does to probabilities, and the text that needs no model at all. The chapter *Structured output* of the book tells the story.
#
# Each exercise has a cell for your code, a cell to try it, and a cell of checks. Run the checks as often as you like: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs.
#
# One rule holds in every exercise: an argument that makes no sense raises `ValueError`, the message holds the value, and no argument is changed. The docstring says which arguments are meant.
#
# A token is written as its bytes, `b' "'` for instance: the vocabularies of language models are made of bytes, and a character such as é may be cut in two.

# %% setup=True
import json
import re

import numpy as np


class Machine:
    """A deterministic automaton: table[state] is {byte: next state}. It counts the steps it is asked for."""

    lends = ("step", "is_accepting")  # what the tests let your code use

    def __init__(self, table, accepting):
        self.table, self.accepting = table, set(accepting)
        self.num_steps = 0

    def step(self, state, byte):
        """The state after one byte, or None where no text goes on like this."""
        self.num_steps += 1
        return self.table.get(state, {}).get(byte)

    def is_accepting(self, state):
        """Whether the text may end here."""
        return state in self.accepting


def table_of(texts):
    """(table, accepting) of the automaton that reads just these texts, a list of bytes; state b"" is the first."""
    table = {}
    for text in texts:
        for i, byte in enumerate(text):
            table.setdefault(text[:i], {})[byte] = text[: i + 1]
    return table, list(texts)


# %% [markdown] task="step" stars=2 minutes=20
# ## 1. A step of an automaton
#
# An automaton with choices is in several states at once: in all that the text so far allows. Here it is a dict:
#
# | | |
# |---|---|
# | `net["edges"]` | `{state: [(low, high, target), …]}`: from `state`, any byte from `low` to `high`, both included, leads to `target` |
# | `net["jumps"]` | `{state: [target, …]}`: from `state` to `target` without reading a byte |
#
# States are integers, and a row of jumps may be thousands of states long; a state that is missing in one of the dicts has none of these ways.
#
# Write two functions. `closure(net, states)`: the given states and every state that jumps reach from them, jumps after jumps too. `step(net, states, byte)`: where the automaton is after one more byte, that is, the closure of the targets of all edges that read this byte. Both return a **sorted list without repeats**; the empty list says that no text goes on like this. `states` may come in any order. `step` raises `ValueError` for a `byte` outside 0 … 255.
#
# Example: the pattern `a+b` as `edges = {0: [(97, 97, 1)], 2: [(98, 98, 3)]}` and `jumps = {1: [0, 2]}`, where 97 is the letter a and 98 is b. `closure(net, [0])` is `[0]`. `step(net, [0], 97)` is `[0, 1, 2]`: state 1, and from there another a or the b may come. `step(net, [0, 1, 2], 98)` is `[3]`, and `step(net, [3], 98)` is `[]`. (Thompson 1968.)
#
# <details><summary>Hint 1</summary>
#
# Jumps may form a circle: keep what you have seen, and follow the jumps of a state only the first time you meet it.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A list of states still to visit and a set of those seen; take one from the list, and if it is new, add its jumps to the list. `step` collects the targets first and gives them all to `closure` at once.
#
# </details>


# %% solution="step"
def closure(net, states):
    """The states and all that jumps reach from them: a sorted list without repeats.

    net: {"edges": {state: [(low, high, target)]}, "jumps": {state: [target]}}. states: integers in any order.
    """
    ### BEGIN SOLUTION
    seen, todo = set(), list(states)
    while todo:
        state = todo.pop()
        if state not in seen:
            seen.add(state)
            todo += net["jumps"].get(state, [])
    return sorted(seen)
    ### END SOLUTION


def step(net, states, byte):
    """The states after one more byte, jumps followed: a sorted list without repeats, [] when nothing fits.

    net, states: as in closure. byte: 0 to 255. Raises ValueError outside.
    """
    ### BEGIN SOLUTION
    if not 0 <= byte <= 255:
        raise ValueError(f"a byte is 0 to 255, got {byte}")
    edges = [edge for state in states for edge in net["edges"].get(state, [])]
    return closure(net, [target for low, high, target in edges if low <= byte <= high])
    ### END SOLUTION


# %% tryit="step"
a_plus_b = {"edges": {0: [(97, 97, 1)], 2: [(98, 98, 3)]}, "jumps": {1: [0, 2]}}
states = closure(a_plus_b, [0])
for byte in b"aab":
    before, states = states, step(a_plus_b, states, byte)
    print(f"{before} reads {chr(byte)!r}: {states}")


# %% test="step" points=1
def test_step():
    net = {"edges": {0: [(97, 97, 1)], 2: [(98, 98, 3)]}, "jumps": {1: [0, 2]}}
    got = closure(net, [0])
    assert got is not None, "closure returned None: is there a return statement?"
    assert got == [0], f"state 0 has no jumps, its closure is [0], you returned {got}"
    assert closure(net, [1]) == [0, 1, 2], f"from 1 one jumps to 0 and 2; 1 itself stays: {closure(net, [1])}"
    got = step(net, [0], 97)
    assert got is not None, "step returned None: is there a return statement?"
    assert got != [1], "after the letter a, state 1 jumps to 0 and 2: follow the jumps behind the byte"
    assert got == [0, 1, 2], f"state 0 reads a: [0, 1, 2], you returned {got}"
    assert step(net, [0, 1, 2], 98) == [3], f"of 0, 1, 2 only 2 reads b: [3], you returned {step(net, [0, 1, 2], 98)}"
    assert step(net, [3], 98) == [], f"nothing reads b from 3: [], you returned {step(net, [3], 98)}"
    chain = {"edges": {}, "jumps": {5: [4], 4: [3], 3: [5, 9]}}
    assert closure(chain, [5]) == [3, 4, 5, 9], f"jumps after jumps, in a circle too: {closure(chain, [5])}"
    digits = {"edges": {0: [(48, 57, 1)]}, "jumps": {}}
    for byte, want in ((48, [1]), (57, [1]), (47, []), (58, [])):
        assert step(digits, [0], byte) == want, f"48 to 57, both included; byte {byte}: {want}"
    for bad in (-1, 256):
        try:
            got = step(net, [0], bad)
        except ValueError as error:
            assert str(bad) in str(error), f"the ValueError should name the value {bad}, it says: {error}"
        else:
            raise AssertionError(f"byte {bad} returned {got}: raise ValueError")


test_step()


# %% hidden="step" points=2
def hidden_step():
    import random

    rng = random.Random(15)
    for _ in range(60):
        num = rng.randint(1, 9)
        names = rng.sample(range(40), num)
        edges, jumps = {}, {}
        for _ in range(rng.randint(0, 14)):
            low = rng.randint(0, 255)
            edge = (low, min(255, low + rng.choice((0, 0, 3, 90))), rng.choice(names))
            edges.setdefault(rng.choice(names), []).append(edge)
        for _ in range(rng.randint(0, 9)):
            jumps.setdefault(rng.choice(names), []).append(rng.choice(names))
        net, states = {"edges": edges, "jumps": jumps}, rng.choices(names, k=rng.randint(0, 4))

        def reach(found):
            """All pairs by repeated squaring, on a table of booleans."""
            table = {a: {b for b in names if a == b or b in jumps.get(a, [])} for a in names}
            for _ in names:
                table = {a: set().union(*(table[b] for b in table[a])) for a in names}
            return sorted(set().union(*(table[a] for a in found))) if found else []

        got = closure(net, list(states))
        assert got == reach(states), f"closure of {states} in {net}: {reach(states)}, you returned {got}"
        for byte in {0, 255, rng.randint(0, 255), *(edge[0] for each in edges.values() for edge in each)}:
            hit = [t for s in states for low, high, t in edges.get(s, []) if byte in range(low, high + 1)]
            got = step(net, list(states), byte)
            assert got == reach(hit), f"{states} reads {byte} in {net}: {reach(hit)}, you returned {got}"
    net = {"edges": {0: [(1, 1, 1)]}, "jumps": {0: [2], 1: []}}
    assert step(net, [2], 1) == [], "step reads from the states it is given, and follows no jump before the byte"
    assert net == {"edges": {0: [(1, 1, 1)]}, "jumps": {0: [2], 1: []}}, "the automaton was changed"
    states = [1, 0]
    closure(net, states), step(net, states, 1)
    assert states == [1, 0], "the list of states was changed"
    line = {"edges": {}, "jumps": {i: [i + 1] for i in range(3000)}}
    assert len(closure(line, [0])) == 3001, "a long row of jumps: all of it is reached"
    for bad in (-300, 1000):
        try:
            step(net, [], bad)
        except ValueError as error:
            assert str(bad) in str(error), f"the message should hold the byte: {error}"
            continue
        raise AssertionError("a byte outside 0 to 255 was accepted: raise ValueError")


hidden_step()


# %% [markdown] task="schema_regex" stars=3 minutes=35
# ## 2. From a schema to a pattern
#
# A JSON schema says what a value must be; an automaton is made from a pattern of text. Write `schema_regex(schema)`: a regular expression (a `str` for Python's `re.fullmatch`) that matches exactly the texts which `json.dumps(value, ensure_ascii=False)` writes for the valid values. So there is `", "` between items and members, `": "` behind a key, and no other space.
#
# | schema | valid |
# |---|---|
# | `{"const": value}` | this value alone |
# | `{"enum": [value, …]}` | any of these |
# | `{"type": "null"}`, `{"type": "boolean"}` | `null`; `true`, `false` |
# | `{"type": "integer"}` | whole numbers as Python writes them: `0`, `-12`, not `-0`, `007` or `1e3` |
# | `{"type": "string"}`, and `"maxLength": n` | texts (of at most n characters) in which no character needs a backslash: no `"`, no `\`, nothing below U+0020 |
# | `{"type": "array", "items": schema}`, and `"maxItems": n` | lists (of at most n items) whose items are valid |
# | `{"type": "object", "properties": {name: schema, …}}` | objects with all these members, in this order, and no others |
#
# Anything else raises `ValueError` that names the keyword or the type: to ignore a keyword that you do not know would let through what it forbids.
#
# Example: for `{"type": "object", "properties": {"ok": {"type": "boolean"}}}` the pattern matches `{"ok": true}` and `{"ok": false}` and nothing else. One way to write it is `\{"ok": (true|false)\}`. (Outlines turned schemas into patterns in this way: Willard and Louf 2023, 2307.09702.)
#
# <details><summary>Hint 1</summary>
#
# The function calls itself for items and members. A list of at most n items is nothing, or one item and up to n − 1 times a comma with another item.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `re.escape` makes any text safe inside a pattern, keys and constants too. Put `(?:…)` around everything with a `|` in it. `{0,3}` repeats up to three times; a list of at most 0 items is a case of its own.
#
# </details>


# %% solution="schema_regex"
def schema_regex(schema):
    """A pattern for re.fullmatch: the texts that json.dumps(value, ensure_ascii=False) writes for valid values.

    schema: a dict as in the table of the task. Raises ValueError for a keyword or a type that is not in it.
    """
    ### BEGIN SOLUTION
    known = {
        "array": {"type", "items", "maxItems"},
        "object": {"type", "properties"},
        "string": {"type", "maxLength"},
        "integer": {"type"},
        "boolean": {"type"},
        "null": {"type"},
    }
    for chooser in ("const", "enum"):
        if set(schema) == {chooser}:
            values = [schema[chooser]] if chooser == "const" else schema[chooser]
            return "(?:" + "|".join(re.escape(json.dumps(v, ensure_ascii=False)) for v in values) + ")"
    kind = schema.get("type")
    if kind not in known:
        raise ValueError(f"no such type: {kind!r} in {schema}")
    if set(schema) - known[kind]:
        raise ValueError(f"unknown keywords: {sorted(set(schema) - known[kind])}")
    if kind == "object":
        members = [re.escape(json.dumps(k, ensure_ascii=False)) + ": " + schema_regex(v)
                   for k, v in schema["properties"].items()]  # fmt: skip
        return r"\{" + ", ".join(members) + r"\}"
    if kind == "array":
        if schema.get("maxItems") == 0:
            return r"\[\]"
        item = schema_regex(schema["items"])
        more = f"{{0,{schema['maxItems'] - 1}}}" if "maxItems" in schema else "*"
        return rf"\[(?:{item}(?:, {item}){more})?\]"
    if kind == "string":
        return r'"[^"\\\x00-\x1f]' + (f"{{0,{schema['maxLength']}}}" if "maxLength" in schema else "*") + '"'
    return {"integer": "(?:0|-?[1-9][0-9]*)", "boolean": "(?:true|false)", "null": "null"}[kind]
    ### END SOLUTION


# %% tryit="schema_regex"
person = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}
pattern = schema_regex(person)
print(pattern)
for text in ('{"name": "Ada", "age": 36}', '{"age": 36, "name": "Ada"}', '{"name": "Ada", "age": "36"}'):
    print(f"{text:30} {'fits' if re.fullmatch(pattern, text) else 'does not fit'}")


# %% test="schema_regex" points=2
def test_schema_regex():
    import re

    pair = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}}}
    cases = [
        ({"const": "a.b"}, ['"a.b"'], ['"axb"', "a.b"], "a dot in a constant is a dot: re.escape"),
        ({"enum": [1, "x", None]}, ["1", '"x"', "null"], ["x", "None", "1x"], "values as json.dumps writes them"),
        ({"type": "null"}, ["null"], ["None", '"null"'], "null is written null"),
        ({"type": "boolean"}, ["true", "false"], ["True", "1"], "true and false in small letters"),
        ({"type": "integer"}, ["0", "7", "-12", "100"], ["-0", "007", "1.0", "+1", "", "-"], "see the row of integers"),
        ({"type": "string"}, ['""', '"é b"'], ['"', '"a"b"', '"\\"', '"\n"', "a"], "see the row of strings"),
        ({"type": "string", "maxLength": 2}, ['""', '"ab"'], ['"abc"'], "at most two characters"),
        (
            {"type": "array", "items": {"type": "null"}},
            ["[]", "[null]", "[null, null]"],
            ["[null,null]", "[null, ]", "null"],
            "items with a comma and a space between them",
        ),
        (
            {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
            ["[]", "[1]", "[1, 2]"],
            ["[1, 2, 3]"],
            "at most two items",
        ),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, ["[]"], ["[1]"], "no item at all"),
        (
            pair,
            ['{"a": 1, "b": true}'],
            ['{"b": true, "a": 1}', '{"a": 1}', '{"a":1,"b":true}', "{}"],
            "all members, in order, with json.dumps' spaces",
        ),
        ({"type": "object", "properties": {}}, ["{}"], ["{ }", ""], "no members: {}"),
    ]
    for schema, good, bad, advice in cases:
        pattern = schema_regex(schema)
        assert isinstance(pattern, str), f"{schema}: a str is wanted, you returned {pattern!r}"
        for text in good:
            assert re.fullmatch(pattern, text), f"{schema} should match {text}: {advice}. Your pattern: {pattern}"
        for text in bad:
            assert not re.fullmatch(pattern, text), f"{schema} should not match {text!r}: {advice}. Yours: {pattern}"
    for schema, word in (({"type": "integer", "minimum": 3}, "minimum"), ({"type": "number"}, "number")):
        try:
            got = schema_regex(schema)
        except ValueError as error:
            assert word in str(error), f"the ValueError should name {word!r}, it says: {error}"
        else:
            raise AssertionError(f"{schema} returned {got!r}: raise ValueError, {word!r} is not in the table")


test_schema_regex()


# %% hidden="schema_regex" points=4
def hidden_schema_regex():
    import copy
    import json
    import random
    import re

    rng = random.Random(150)

    def make(depth):
        """(a schema, a function that draws a valid value)."""
        kind = rng.choice(["const", "enum", "null", "boolean", "integer", "string", *["array", "object"] * (depth > 0)])
        if kind in ("const", "enum"):
            values = rng.sample([0, -3, True, None, "", "a|b", "(x)", "é*", 'say "hi"\n', [1, "[]"], {"k": "a+"}], 3)
            values = values[:1] if kind == "const" else values
            return {kind: values[0] if kind == "const" else values}, lambda: rng.choice(values)
        if kind == "array":
            items, draw = make(depth - 1)
            limit = rng.choice((None, 1, 2, 4))
            schema = {"type": "array", "items": items, **({} if limit is None else {"maxItems": limit})}
            return schema, lambda: [draw() for _ in range(rng.randint(0, 5 if limit is None else limit))]
        if kind == "object":
            names = rng.sample(["a", "b c", "é", "x.y", 'q"', "$", "^"], rng.randint(0, 3))
            parts = {name: make(depth - 1) for name in names}
            schema = {"type": "object", "properties": {name: part[0] for name, part in parts.items()}}
            return schema, lambda: {name: part[1]() for name, part in parts.items()}
        if kind == "string":
            limit = rng.choice((None, 1, 3))
            schema = {"type": "string", **({} if limit is None else {"maxLength": limit})}
            size = 6 if limit is None else limit
            return schema, lambda: "".join(rng.choices("ab é—😀/.*", k=rng.randint(0, size)))
        draws = {"null": [None], "boolean": [True, False], "integer": [0, 5, -8, 10, 907, -1234567890123]}[kind]
        return {"type": kind}, lambda: rng.choice(draws)

    def is_valid(value, schema):
        if "const" in schema or "enum" in schema:
            texts = [json.dumps(v) for v in schema.get("enum", [schema.get("const")])]
            return json.dumps(value) in texts
        kind = schema["type"]
        if kind == "object":
            wanted = schema["properties"]
            return isinstance(value, dict) and list(value) == list(wanted) and all(
                is_valid(value[name], part) for name, part in wanted.items()
            )  # fmt: skip
        if kind == "array":
            fits = isinstance(value, list) and len(value) <= schema.get("maxItems", 99)
            return fits and all(is_valid(each, schema["items"]) for each in value)
        if kind == "string":
            is_plain = isinstance(value, str) and "\\" not in json.dumps(value, ensure_ascii=False)
            return is_plain and len(value) <= schema.get("maxLength", 99)
        types = {"null": type(None), "boolean": bool, "integer": int}
        return type(value) is types[kind]

    for _ in range(150):
        schema, draw = make(2)
        given = copy.deepcopy(schema)
        pattern = schema_regex(given)
        assert given == schema, "the schema was changed"
        for _ in range(4):
            text = json.dumps(draw(), ensure_ascii=False)
            assert re.fullmatch(pattern, text), f"{schema} should match {text}"
            for _ in range(6):
                at = rng.randrange(len(text))
                near = text[:at] + rng.choice(["", *'"[]{},: 0-1ae\\|']) + text[at + rng.choice((0, 1)) :]
                try:
                    value = json.loads(near)
                    want = json.dumps(value, ensure_ascii=False) == near and is_valid(value, schema)
                except ValueError:
                    want = False
                assert bool(re.fullmatch(pattern, near)) == want, f"{schema} and {near!r}: should match: {want}"
    for text in ("1٣", "٣", "-१"):
        assert not re.fullmatch(schema_regex({"type": "integer"}), text), f"{text}: digits of other scripts are no JSON"
    for text in ("\x1f", "\x00", "\t", '"', "\\"):
        assert not re.fullmatch(schema_regex({"type": "string"}), f'"{text}"'), f"{text!r} needs a backslash"
    none = schema_regex({"type": "array", "items": {"type": "integer"}, "maxItems": 0})
    assert not re.fullmatch(none, "[1, 1{0,-1}]"), "at most 0 items: only [], and a repetition of 0 to -1 is none"
    assert re.fullmatch(schema_regex({"type": "string"}), '"\x7f "'), "only characters below U+0020 are left out"
    assert re.fullmatch(schema_regex({"type": "string", "maxLength": 0}), '""'), "at most 0 characters: the empty text"
    unknown = [
        {},
        {"type": "strng"},
        {"type": "string", "minLength": 1},
        {"type": "object", "properties": {}, "required": []},
        {"type": "array", "items": {"type": "null"}, "uniqueItems": True},
        {"type": "array", "items": {"type": "float"}},
        {"type": "object", "properties": {"a": {"type": "integer", "maximum": 2}}},
        {"anyOf": [{"type": "null"}]},
        {"enum": [1], "title": "one"},
        {"type": "boolean", "enum": [True]},
        {"type": "array", "items": {"pattern": "a"}, "maxItems": 3},
        {"type": "null", "maxLength": 3},
    ]
    for schema in unknown:
        try:
            schema_regex(schema)
        except ValueError:
            continue
        raise AssertionError(f"{schema} was accepted: what is not in the table raises ValueError, inside too")
    empty = schema_regex({"type": "string", "maxLength": 0})
    assert not re.fullmatch(empty, '"a"'), "at most 0 characters: a text of one does not match, since 0 is a bound too"


hidden_schema_regex()


# %% [markdown] task="allowed_tokens" stars=3 minutes=30
# ## 3. The walk over the vocabulary
#
# Which of 49,152 tokens may come next? To read each of them byte by byte from the present state repeats the same work again and again: hundreds of tokens begin with `the`, and if a `t` is forbidden, all of them are. So put the tokens into a *trie*, a tree in which each way down from the root spells the beginning of a token, and walk it together with the automaton: where the automaton has no next state, the whole subtree is left.
#
# Write `allowed_tokens(tokens, eos_id, machine, state)`:
#
# - `tokens`: a list of `bytes`, one for each token id. An empty one is never allowed. Two tokens may have the same bytes.
# - `eos_id`: the token that ends the text. It is allowed where `machine.is_accepting(state)`, whatever its bytes are.
# - `machine`: has `step(state, byte)`, which gives the next state or `None`, and `is_accepting(state)`.
# - Returns the sorted list of the allowed ids: those all of whose bytes can be read from `state`. The text need not end behind the token.
#
# `machine.step` counts its calls. Ask **at most once for each beginning** that tokens have in common (the end-of-text token not counted), and never below a beginning that the automaton refused.
#
# Example: the only text is `"no"` with its quotes, and the tokens are `b'"'`, `b'"n'`, `b'no'`, `b'"yes'`, `b'"no"'`, `b'"no",'` and the end. In the first state, ids `[0, 1, 4]` are allowed: a token may cross from the quote into the word and beyond, as long as *all* of it fits. `b'"no",'` goes one byte too far. (Koo and others 2024, 2407.08103, treat this misalignment of tokens and grammar as composition of automata.)
#
# <details><summary>Hint 1</summary>
#
# Each beginning is reached from the beginning that is one byte shorter. If you remember the state of every beginning (and that some have none), a token costs one step for each byte that no token before it had in common.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A dict from beginnings to states, with the empty beginning for the present state. For each token go through its beginnings, from short to long; one that is not in the dict is asked for and kept, `None` too, and at `None` the token is out.
#
# </details>


# %% solution="allowed_tokens"
def allowed_tokens(tokens, eos_id, machine, state):
    """The sorted ids of the tokens that may come next.

    tokens: bytes of each id. eos_id: allowed where machine.is_accepting(state). machine.step(state, byte) -> the next
    state or None, asked at most once for each beginning of tokens, none below a refused one.
    """
    ### BEGIN SOLUTION
    states, allowed = {b"": state}, []
    for token_id, token in enumerate(tokens):
        if token_id == eos_id:
            if machine.is_accepting(state):
                allowed.append(token_id)
            continue
        for size in range(1, len(token) + 1):
            head = token[:size]
            if head not in states:
                states[head] = machine.step(states[head[:-1]], head[-1])
            if states[head] is None:
                break
        else:
            if token:
                allowed.append(token_id)
    return allowed
    ### END SOLUTION


# %% tryit="allowed_tokens"
tokens = [b'"', b'"n', b"no", b'"yes', b'"no"', b'"no",', b"<end>", b'o"']
machine = Machine(*table_of([b'"no"']))
for text in (b"", b'"n', b'"no"'):
    machine.num_steps = 0
    ids = allowed_tokens(tokens, 6, machine, text)
    print(f"behind {text!r:9}: {[tokens[i] for i in ids]}, {machine.num_steps} steps")


# %% test="allowed_tokens" points=2
def test_allowed_tokens():
    tokens = [b'"', b'"n', b"no", b'"yes', b'"no"', b'"no",', b"<end>"]
    machine = Machine(*table_of([b'"no"']))
    got = allowed_tokens(tokens, 6, machine, b"")
    assert got is not None, "allowed_tokens returned None: is there a return statement?"
    assert got != [0], "a token of several bytes may be read whole: '\"n' crosses from the quote into the word"
    assert 5 not in got, "'\"no\",' goes one byte too far: all bytes of a token must fit, not only the first ones"
    assert 6 not in got, "nothing is written yet: the text may not end here"
    assert got == [0, 1, 4], f"in the first state [0, 1, 4], you returned {got}"
    num_steps, machine.num_steps = machine.num_steps, 0
    assert num_steps <= 7, f"{num_steps} steps: the beginnings that can be asked for are 7, each once"
    assert allowed_tokens(tokens, 6, machine, b'"no"') == [6], "behind the closing quote only the end is left"
    assert allowed_tokens(tokens, 6, machine, b'"') == [2], "behind the first quote the bytes n and o fit: no"
    same = [b"a", b"", b"a", b"ab", b"</s>"]
    both = Machine(*table_of([b"a", b"abc"]))
    assert allowed_tokens(same, 4, both, b"") == [0, 2, 3], "two tokens with the same bytes; an empty one never fits"
    assert allowed_tokens(same, 4, both, b"a") == [4], "the text may end behind a; b alone is no token"


test_allowed_tokens()


# %% hidden="allowed_tokens" points=4
def hidden_allowed_tokens():
    import random

    rng = random.Random(1500)

    def reads(table, state, token):
        for byte in token:
            if state is None:
                return False
            state = table.get(state, {}).get(byte)
        return state is not None

    for trial in range(25):
        num, letters = rng.randint(1, 6), rng.choice((b"ab", b"abc", b"x\x00\xff"))
        table = {s: {b: rng.randrange(num) for b in letters if rng.random() < 0.6} for s in range(num)}
        accepting = [s for s in range(num) if rng.random() < 0.4]
        tokens = [bytes(rng.choices(letters, k=rng.choice((0, 1, 1, 2, 2, 3, 5)))) for _ in range(rng.randint(1, 25))]
        eos, state = rng.randrange(len(tokens)), rng.randrange(num)
        machine, given = Machine(table, accepting), list(tokens)
        want = [
            i
            for i, token in enumerate(tokens)
            if (state in accepting if i == eos else bool(token) and reads(table, state, token))
        ]
        got = allowed_tokens(given, eos, machine, state)
        assert list(got) == want, f"trial {trial}: {tokens}, end {eos}, state {state} of {table}: {want}, not {got}"
        assert given == tokens, "the list of tokens was changed"
        heads = {t[: n + 1] for i, t in enumerate(tokens) if i != eos for n in range(len(t))}
        most = sum(reads(table, state, head[:-1]) for head in heads)
        assert machine.num_steps <= most, f"{machine.num_steps} steps for {most} beginnings: each at most once"
    deep = [b"a" * n for n in range(1, 101)] + [b"z"]
    machine = Machine({0: {97: 0}}, [0])
    assert len(allowed_tokens(deep, 100, machine, 0)) == 101, "long tokens too, and a state may lead to itself"
    assert machine.num_steps <= 100, "a hundred beginnings, a hundred steps"
    assert allowed_tokens([b"<end>", b"q"], 0, Machine({}, [3]), 3) == [0], "only the end is left"
    assert allowed_tokens([b"<end>", b"q"], 0, Machine({}, []), 3) == [], "nothing at all fits"
    spelled = Machine(*table_of([b"<end>!"]))
    assert allowed_tokens([b"<end>", b"<"], 0, spelled, b"") == [1], "the end token's own bytes do not count"


hidden_allowed_tokens()


# %% [markdown] task="masked_probabilities" stars=1 minutes=15
# ## 4. The mask
#
# Write `masked_probabilities(logits, allowed)`: the distribution over the vocabulary when only the tokens in `allowed` may be drawn. A forbidden logit becomes $-\infty$, then comes the softmax, so that the allowed tokens keep their ratios and share all of the probability:
#
# $$p'_v = \frac{e^{z_v}}{\sum_{u \in \text{allowed}} e^{z_u}} \quad (v \in \text{allowed}), \qquad p'_v = 0 \quad \text{otherwise}$$
#
# `logits`: an array `[V]` of finite numbers. `allowed`: a list of token ids, perhaps with repeats. Returns float64 `[V]`, a new array with sum 1. No allowed token, or an id outside 0 … V − 1, raises `ValueError`, with the id in the message.
#
# Example: logits `[ln 6, ln 1, ln 3]` and `allowed = [1, 2]` give `[0, 0.25, 0.75]`.
#
# The logits of the allowed tokens may lie far below those of the others: the model wanted to write something else. The result must be right there too.
#
# <details><summary>Hint 1</summary>
#
# A softmax subtracts a maximum so that nothing overflows. The maximum of which logits keeps the sum away from 0?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Start from an array full of `-np.inf`, copy the allowed logits into it, and take its own maximum. `np.exp(-np.inf)` is exactly 0.
#
# </details>


# %% solution="masked_probabilities"
def masked_probabilities(logits, allowed):
    """The softmax of logits [V] over the allowed token ids; 0 for all others. float64 [V].

    Raises ValueError for no allowed token, or for an id outside 0 … V - 1.
    """
    ### BEGIN SOLUTION
    if len(allowed) == 0:
        raise ValueError(f"no token is allowed: {allowed}")
    if not 0 <= min(allowed) <= max(allowed) < len(logits):
        raise ValueError(f"a token id is outside 0 … {len(logits) - 1}: {allowed}")
    masked = np.full(len(logits), -np.inf)
    masked[list(allowed)] = np.asarray(logits, dtype=np.float64)[list(allowed)]
    weights = np.exp(masked - masked.max())
    return weights / weights.sum()
    ### END SOLUTION


# %% tryit="masked_probabilities"
words = ["Sure", "{", "[", "Here"]
logits = np.array([9.0, 4.0, 3.0, 8.0])
print("free:  ", dict(zip(words, masked_probabilities(logits, [0, 1, 2, 3]).round(3).tolist(), strict=True)))
print("masked:", dict(zip(words, masked_probabilities(logits, [1, 2]).round(3).tolist(), strict=True)))


# %% test="masked_probabilities" points=1
def test_masked_probabilities():
    import numpy as np

    logits = np.log([6.0, 1.0, 3.0])
    got = masked_probabilities(logits, [1, 2])
    assert got is not None, "masked_probabilities returned None: is there a return statement?"
    assert abs(got[1] - 0.1) > 1e-6, "0.1 is its share before the mask: divide by the sum of the allowed ones"
    assert got[0] == 0, f"a forbidden token has probability 0, yours has {got[0]}: a logit of 0 is not a mask"
    assert np.allclose(got, [0, 0.25, 0.75], atol=1e-12), f"ln 1 and ln 3 allowed: [0, 0.25, 0.75], you have {got}"
    assert np.allclose(masked_probabilities(logits, [0, 1, 2]), [0.6, 0.1, 0.3]), "with all allowed, the plain softmax"
    far = masked_probabilities(np.array([2000.0, 0.0, 0.0]), [1, 2])
    assert np.allclose(far, [0, 0.5, 0.5]), f"the forbidden token leads by 2000: [0, 0.5, 0.5], you have {far}"
    for bad in ([], [3], [-1]):
        try:
            got = masked_probabilities(logits, bad)
        except ValueError as error:
            assert not bad or str(bad[0]) in str(error), f"the message should hold {bad}: {error}"
        else:
            raise AssertionError(f"allowed={bad} returned {got}: raise ValueError")


test_masked_probabilities()


# %% hidden="masked_probabilities" points=2
def hidden_masked_probabilities():
    import math

    import numpy as np

    rng = np.random.default_rng(154)
    for trial in range(30):
        vocab = int(rng.integers(1, 40))
        logits = rng.normal(scale=rng.choice([1.0, 30.0]), size=vocab) + rng.choice([0.0, 5000.0, -5000.0])
        allowed = [int(i) for i in rng.integers(0, vocab, size=int(rng.integers(1, vocab + 1)))]
        given = logits.copy()
        ids = list(allowed)
        got = np.asarray(masked_probabilities(given, ids))
        assert ids == allowed, "the list of allowed tokens was changed"
        assert np.array_equal(given, logits), "the logits were changed"
        assert got.shape == (vocab,) and got.dtype == np.float64, f"float64 [{vocab}], you have {got.dtype} {got.shape}"
        top = max(logits[i] for i in allowed)
        total = math.fsum(math.exp(logits[i] - top) for i in set(allowed))
        for i in range(vocab):
            want = math.exp(logits[i] - top) / total if i in allowed else 0.0
            assert abs(got[i] - want) < 1e-12, f"trial {trial}, token {i}: {want}, you returned {got[i]}"
            assert i in allowed or got[i] == 0, "a forbidden token has exactly 0"
    single = np.asarray(masked_probabilities(np.array([-3e4, 3e4], dtype=np.float32), [0]))
    assert single.dtype == np.float64 and single.tolist() == [1, 0], "the only allowed token has probability 1"
    single = np.asarray(masked_probabilities(np.array([-5e9, 0.0, -4e9]), [0])).tolist()
    assert single == [1, 0, 0], f"the only allowed token far below the others has probability 1, you have {single}"
    thirds = masked_probabilities(np.zeros(3, dtype=np.float32), [0, 1, 2])
    assert abs(thirds[0] - 1 / 3) < 1e-12, "compute in float64, also for float32 logits"
    for bad in ([5, 0], [0, -2], []):
        try:
            masked_probabilities(np.zeros(5), bad)
        except ValueError:
            continue
        raise AssertionError("no allowed token, or one outside the vocabulary, was accepted: raise ValueError")


hidden_masked_probabilities()


# %% [markdown] task="two_laws" stars=3 minutes=30
# ## 5. What the mask does to probabilities
#
# With the mask every text fits the grammar. But is a text as likely as it should be? There are two laws:
#
# - **conditional**: the model writes freely, and texts that do not fit are thrown away. A fitting text $x$ has the probability $P(x) / \sum_y P(y)$, the sum over all fitting texts.
# - **masked**: at each token the forbidden ones are taken out and the rest is scaled to sum 1: $\prod_t \; p(x_t \mid x_{<t}) \,/\, \sum_{v \text{ allowed}} p(v \mid x_{<t})$.
#
# They are not the same. The mask sees one token ahead: it may go into a beginning that the model likes, although the only texts behind it are ones the model would hardly write. (Park and others 2024, 2405.21047, call it the distortion of the distribution.)
#
# Write `two_laws(model, texts)`:
#
# - `model`: a dict from a beginning (a tuple of token ids, `()` at first) to the list of the next token's probabilities.
# - `texts`: a list of tuples of token ids, **all** texts that the grammar knows, none the beginning of another. A token is allowed behind a beginning when some text goes on with it.
# - Returns `(masked, conditional)`, two lists of floats, one for each text in order.
#
# No texts raise `ValueError`; so do texts that the model gives no chance at all (all $P$ are 0, so that there is nothing to divide by). A text on whose way the allowed tokens have sum 0 has masked probability 0.
#
# Example: three tokens; `model = {(): [0.5, 0.1, 0.4], (0,): [0.0, 0.1, 0.9], (1,): [0.9, 0.1, 0.0]}` and the texts `(0, 1)` and `(1, 0)`. Masked: at first tokens 0 and 1 are allowed with 0.5 and 0.1, which become 5/6 and 1/6; after that one token is left each time, so `[0.8333…, 0.1666…]`. Conditional: $P = 0.5 \cdot 0.1 = 0.05$ and $0.1 \cdot 0.9 = 0.09$, so `[0.357…, 0.642…]`. The mask prefers the text that the model likes less.
#
# <details><summary>Hint 1</summary>
#
# Both are products over the tokens of a text. The conditional law needs one sum at the end, over texts; the masked law needs a sum at each token, over the tokens that some text has in this place.
#
# </details>
# <details><summary>Hint 2</summary>
#
# For a beginning `text[:t]`, the allowed tokens are the set of `other[t]` over all texts that begin with it; the condition `other[:t] == text[:t]` is not enough for texts that are as short as `t`, of which there are none here.
#
# </details>


# %% solution="two_laws"
def two_laws(model, texts):
    """(masked, conditional): for each text its probability under masking token by token, and given that a text fits.

    model: {beginning: next token's probabilities}. texts: tuples of token ids, none the beginning of another. Raises
    ValueError for no texts, and when the model gives none of them a chance.
    """
    ### BEGIN SOLUTION
    free, masked = [], []
    for text in texts:
        chance, share = 1.0, 1.0
        for t, token in enumerate(text):
            p = model[text[:t]]
            total = sum(p[v] for v in {other[t] for other in texts if other[:t] == text[:t]})
            chance *= p[token]
            share = share * p[token] / total if total > 0 else 0.0
        free.append(chance)
        masked.append(share)
    if sum(free) == 0:
        raise ValueError(f"the model writes none of these texts: {texts}")
    return masked, [chance / sum(free) for chance in free]
    ### END SOLUTION


# %% tryit="two_laws"
toy = {(): [0.5, 0.1, 0.4], (0,): [0.0, 0.1, 0.9], (1,): [0.9, 0.1, 0.0]}
for name, law in zip(("masked", "conditional"), two_laws(toy, [(0, 1), (1, 0)]), strict=True):
    print(f"{name:12}", [round(float(p), 3) for p in law])


# %% test="two_laws" points=2
def test_two_laws():
    model = {(): [0.5, 0.1, 0.4], (0,): [0.0, 0.1, 0.9], (1,): [0.9, 0.1, 0.0]}
    got = two_laws(model, [(0, 1), (1, 0)])
    assert got is not None, "two_laws returned None: is there a return statement?"
    masked, conditional = got
    assert abs(masked[0] - 0.05) > 1e-9, "0.05 is what the model itself gives: divide by the sum of the allowed tokens"
    assert abs(masked[0] - 5 / 14) > 1e-9, "5/14 is the conditional law: it comes second"
    assert abs(masked[0] - 5 / 6) < 1e-12, f"masked, (0, 1): 5/6, you returned {masked[0]}"
    assert abs(masked[1] - 1 / 6) < 1e-12, f"masked, (1, 0): 1/6, you returned {masked[1]}"
    assert abs(conditional[0] - 5 / 14) < 1e-12, f"conditional, (0, 1): 0.05 / 0.14, you returned {conditional[0]}"
    assert abs(conditional[1] - 9 / 14) < 1e-12, f"conditional, (1, 0): 0.09 / 0.14, you returned {conditional[1]}"
    one = two_laws(model, [(0, 2)])
    assert [float(law[0]) for law in one] == [1, 1], f"a single text has probability 1 in both laws, you have {one}"
    for bad, why in (([], "no texts"), ([(0, 0)], "a text without a chance")):
        try:
            got = two_laws(model, bad)
        except ValueError:
            continue
        raise AssertionError(f"{why}: returned {got}: raise ValueError")


test_two_laws()


# %% hidden="two_laws" points=3
def hidden_two_laws():
    import random
    from fractions import Fraction

    rng = random.Random(155)
    for _ in range(30):
        vocab, model, texts = rng.randint(2, 4), {}, []

        def grow(head):
            """A random tree of texts under `head`, with the model's probabilities at every beginning."""
            weights = [rng.choice((0, 1, 1, 2, 5)) for _ in range(vocab)]
            weights[rng.randrange(vocab)] += 1
            model[head] = [Fraction(w, sum(weights)) for w in weights]
            for token in rng.sample(range(vocab), rng.randint(1, vocab)):
                if len(head) < 3 and rng.random() < 0.5:
                    grow((*head, token))
                else:
                    texts.append((*head, token))

        grow(())
        rng.shuffle(texts)

        def masked_law(head, share):
            """Walk the tree from above: {text: its share}."""
            tokens = {text[len(head)] for text in texts if text[: len(head)] == head}
            total = sum((model[head][v] for v in tokens), Fraction(0))
            found = {}
            for v in tokens:
                part = share * model[head][v] / total if total else Fraction(0)
                found.update({(*head, v): part} if (*head, v) in texts else masked_law((*head, v), part))
            return found

        free = {}
        for text in texts:
            free[text] = Fraction(1)
            for t, token in enumerate(text):
                free[text] *= model[text[:t]][token]
        plain = {head: [float(p) for p in each] for head, each in model.items()}
        if not sum(free.values()):
            continue
        want = masked_law((), Fraction(1)), {text: p / sum(free.values()) for text, p in free.items()}
        copy = list(texts)
        got = two_laws(plain, copy)
        assert copy == texts, "the list of texts was changed"
        for name, law, mine in zip(("masked", "conditional"), want, got, strict=True):
            assert len(mine) == len(texts), f"{name}: one probability for each text, in order"
            for text, p in zip(texts, mine, strict=True):
                assert abs(p - float(law[text])) < 1e-10, f"{name}, text {text}: {float(law[text])}, you returned {p}"
    dead = {(): [0.5, 0.5], (0,): [0.0, 1.0], (1,): [1.0, 0.0]}
    masked, conditional = two_laws(dead, [(0, 0), (1, 0)])
    assert list(masked) == [0, 0.5], "a way on which the allowed tokens have sum 0 has masked probability 0"
    assert list(conditional) == [0, 1], "and the conditional law gives the other text everything"
    for bad in ([], [(0, 0), (1, 1)]):
        try:
            two_laws(dead, bad)
        except ValueError:
            continue
        raise AssertionError("no texts, or none with a chance, were accepted: raise ValueError")


hidden_two_laws()


# %% [markdown] task="forced_bytes" stars=2 minutes=20
# ## 6. The text that needs no model
#
# Behind `{"name": "Ada", ` a schema may leave one way to go on: `"age": `, seven bytes that nobody has to ask the model for. Write `forced_bytes(table, accepting, state)`: the bytes that must come next. Go on as long as the present state has **exactly one** next byte and the text **may not end** there.
#
# - `table`: `{state: {byte: next state}}`; a state without an entry reads nothing.
# - `accepting`: the states in which the text may end (a list).
# - Returns `bytes`, `b""` when there is a choice at once.
#
# A ring of states that are all forced would never end and never let the text end: raise `ValueError` when a state comes again on the way.
#
# Example: with the texts `b"cat"` and `b"car"`, `b"ca"` is forced at first: then t or r. Behind `b"cat"` nothing is. With `b"to"` and `b"top"`, `b"to"` is forced and no more: the text may end behind it, although p is the only byte that could follow.
#
# In an engine the forced bytes are given to the tokenizer, and the tokens go through the model in one pass: as many as there are, for the price of one. (This is the jump-forward decoding of SGLang: Zheng and others 2023, 2312.07104.)
#
# <details><summary>Hint 1</summary>
#
# Two things end the way, and the second is easily forgotten: more than one next byte (or none), and a state in which the text may end.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A loop with its conditions in the `while`; in it, take the only item of the dict, put the byte behind the others and go to the next state. A set of states seen finds the ring.
#
# </details>


# %% solution="forced_bytes"
def forced_bytes(table, accepting, state):
    """The bytes that must follow: while there is exactly one next byte and the text may not end.

    table: {state: {byte: next state}}. accepting: states in which the text may end. Returns bytes. Raises ValueError
    when a state comes again on the way.
    """
    ### BEGIN SOLUTION
    forced, seen = [], set()
    while state not in accepting and len(table.get(state, {})) == 1:
        if state in seen:
            raise ValueError(f"state {state} comes again: the text could never end")
        seen.add(state)
        ((byte, state),) = table[state].items()
        forced.append(byte)
    return bytes(forced)
    ### END SOLUTION


# %% tryit="forced_bytes"
table, accepting = table_of([b'{"name": "Ada", "age": 36}', b'{"name": "Bob", "age": 41}'])
for text in (b"", b'{"name": "A', b'{"name": "Bob", "age": 41}'):
    print(f"behind {text!r}: {forced_bytes(table, accepting, text)!r}")


# %% test="forced_bytes" points=1
def test_forced_bytes():
    table, accepting = table_of([b"cat", b"car"])
    got = forced_bytes(table, accepting, b"")
    assert got is not None, "forced_bytes returned None: is there a return statement?"
    assert isinstance(got, bytes), f"bytes are wanted, you returned {got!r}"
    assert got == b"ca", f"cat or car: b'ca' is forced, you returned {got!r}"
    assert forced_bytes(table, accepting, b"ca") == b"", "t or r: a choice at once, nothing is forced"
    assert forced_bytes(table, accepting, b"cat") == b"", "the text ends here: nothing is forced"
    table, accepting = table_of([b"to", b"top"])
    got = forced_bytes(table, accepting, b"")
    assert got != b"top", "behind to the text may end, so p is not forced"
    assert got == b"to", f"to or top: b'to', you returned {got!r}"
    assert forced_bytes(table, accepting, b"to") == b"", "the text may end where it stands: nothing is forced"
    try:
        got = forced_bytes({0: {120: 1}, 1: {121: 0}}, [], 0)
    except ValueError:
        return
    raise AssertionError(f"0 and 1 lead to each other and nowhere else: raise ValueError, you returned {got!r}")


test_forced_bytes()


# %% hidden="forced_bytes" points=2
def hidden_forced_bytes():
    import random

    rng = random.Random(156)
    for _ in range(80):
        texts = {bytes(rng.choices(b"ab\x00\xff", k=rng.randint(1, 7))) for _ in range(rng.randint(1, 3))}
        table, accepting = table_of(sorted(texts))
        before = {state: dict(following) for state, following in table.items()}
        heads = sorted({text[:n] for text in texts for n in range(len(text) + 1)})
        for head in heads:
            behind = [text[len(head) :] for text in texts if text.startswith(head)]
            want = b""
            for n in range(min(map(len, behind)) + 1):  # the longest beginning that all that may follow share
                if len({each[:n] for each in behind}) == 1:
                    want = behind[0][:n]
            ends = list(accepting)
            got = forced_bytes(table, ends, head)
            assert ends == accepting, "the list of accepting states was changed"
            assert got == want, f"texts {sorted(texts)}, behind {head!r}: {want!r}, you returned {got!r}"
        assert table == before, "the table was changed"
    assert forced_bytes({}, [], 7) == b"", "a state that reads nothing"
    assert forced_bytes({0: {1: 1, 2: 1}}, [1], 0) == b"", "two bytes that lead to the same state are a choice"
    assert forced_bytes({7: {}}, [], 7) == b"", "a state with an empty entry"
    far = {i: {i % 256: i + 1} for i in range(3000)}
    assert len(forced_bytes(far, [3000], 0)) == 3000, "a long way is followed to its end"
    assert forced_bytes({0: {1: 1}, 1: {2: 1, 3: 0}}, [], 0) == b"\x01", "a ring with a choice in it is no ring"
    for ring, accepting in (({5: {9: 5}}, []), ({0: {1: 1}, 1: {1: 2}, 2: {1: 1}}, [0, 8])):
        try:
            forced_bytes(ring, accepting, max(ring) if len(ring) == 1 else 1)
        except ValueError:
            continue
        raise AssertionError("a ring of forced states was followed: raise ValueError")
    assert forced_bytes({0: {1: 1}, 1: {1: 0}}, [1], 0) == b"\x01", "a ring in which the text may end is no trap"


hidden_forced_bytes()

# %% [markdown]
# **Before you close this.** What must stay true: every text that ends is one that the grammar knows, whichever tokens spell it, and the allowed tokens keep their ratios. What was measured: the steps of a walk, which depend on the beginnings that fit and not on the size of the vocabulary.
