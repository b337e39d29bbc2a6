"""Structured output: its language against llguidance, the mask against every token read, samples against jsonschema."""

import json
import random
import re
import runpy
from pathlib import Path

import jsonschema
import pytest

from mini_engine.engine import Engine
from mini_engine.grammar.automaton import Automaton
from mini_engine.grammar.constraint import Grammar, JumpForward
from mini_engine.grammar.expressions import GrammarError, characters
from mini_engine.grammar.integers import integer_range
from mini_engine.grammar.regex import regex_expression
from mini_engine.grammar.schema import ANY_OBJECT, schema_rules
from mini_engine.grammar.vocabulary import Vocabulary
from mini_engine.sequence import SamplingParams
from mini_engine.speculative import NgramDraft

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "tags": {"type": "array", "items": {"enum": ["a", "bc", "ü"]}, "maxItems": 3},
        "boss": {"anyOf": [{"type": "null"}, {"$ref": "#"}]},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
SCHEMAS = {
    "person": PERSON,
    "bounds": {"type": "integer", "minimum": -17, "maximum": 1034},
    "above": {"type": "integer", "exclusiveMinimum": 95},
    "number": {"type": "number"},
    "array": {"type": "array", "items": {"type": ["boolean", "null"]}, "minItems": 1, "maxItems": 4},
    "optional": {
        "type": "object",
        "properties": {k: {"type": "boolean"} for k in "abc"},
        "required": ["b"],
        "additionalProperties": False,
    },
    "map": {"type": "object", "additionalProperties": {"type": "integer"}},
    "pattern": {"type": "string", "pattern": "^[A-Z]{2}-\\d{3}$"},
    "pair": {"type": "array", "prefixItems": [{"const": 1}, {"type": "string", "minLength": 1}], "items": False},
    "tree": {"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": {
        "v": {"enum": [1, 2]}, "kids": {"type": "array", "items": {"$ref": "#/$defs/n"}, "maxItems": 2}},
        "required": ["v"], "additionalProperties": False}}},
}  # fmt: skip
SCHEMAS["card"] = {**PERSON, "properties": {name: PERSON["properties"][name] for name in ("name", "age", "tags")}}
PATTERNS = [r"(\d{3}-)?[a-f]+é?", r"[^a-c]{2,3}", r"(ab|a)(c|bcd)*", r"\w+@\w+\.(com|org)", r"x?(yz){0,2}"]
TEXTS = {
    "card": ['{"name": "Ada", "age": 36}', '{"name": "Ada Lovelace, a", "age": 36, "tags": []}'],
    "person": ['{"name": "Ada", "age": 36}', '{"name": "Ada", "age": 36, "tags": ["a", "ü"], "boss": null}',
               '{"name": "B", "age": 0, "boss": {"name": "", "age": 120}}', '{"age": 3, "name": "x"}'],
    "bounds": ["-17", "-18", "0", "-0", "1034", "1035", "999", "007", "1e2"],
    "above": ["95", "96", "100", "9", "123456", "-200"],
    "number": ["0", "-1.5", "2.50e-7", "01", ".5", "1.", "1E+9", "-"],
    "array": ["[]", "[true]", "[null, false]", "[true, true, true, true, true]", "[true,false]"],
    "optional": ['{"b": true}', '{"a": true, "b": false, "c": true}', '{"a": true}', '{"b": true, "a": true}', "{}"],
    "map": ["{}", '{"x": 1}', '{"x": 1, "y": -20}', '{"x": "y"}'],
    "pattern": ['"AB-123"', '"AB-12"', '"xAB-123"', '"A\\u0042-123"'],
    "pair": ['[1, "a"]', '[1, ""]', '[1, "a", 2]', "[1]"],
    "tree": ['{"v": 1}', '{"v": 2, "kids": [{"v": 1}, {"v": 2, "kids": []}]}', '{"kids": []}'],
}  # fmt: skip

ROOT = Path(__file__).parents[1]


def near(text, rng, num=60):
    """The text and others that differ from it in one or two places."""
    yield text
    for _ in range(num):
        changed = list(text)
        for _ in range(rng.choice((1, 1, 2))):
            at = rng.randrange(len(changed) + 1)
            change = rng.choice('"0123456789abcABDV {}[]:,-.eé')
            changed[at : at + rng.choice((0, 1, 1))] = rng.choice(([change], []))
        yield "".join(changed)


def accepts(automaton, text):
    return automaton.is_accepting(automaton.read(automaton.start, text.encode()))


class Outside:
    """llguidance over single bytes; the layout of JSON is set to that of json.dumps."""

    def __init__(self, grammar):
        llguidance = pytest.importorskip("llguidance", reason="NOT compared with llguidance: it is not installed")
        self.make = lambda: llguidance.LLMatcher(llguidance.LLTokenizer("byte"), grammar(llguidance.LLMatcher))
        assert not self.make().is_error(), self.make().get_error()

    def accepts(self, text):
        matcher, data = self.make(), list(text.encode())
        return matcher.try_consume_tokens(data) == len(data) and matcher.is_accepting()


LAYOUT = {"x-guidance": {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_accepts_what_llguidance_accepts(name):
    rng, ours = random.Random(name), Automaton(schema_rules(SCHEMAS[name]))
    theirs = Outside(lambda matcher: matcher.grammar_from_json_schema(json.dumps({**SCHEMAS[name], **LAYOUT})))
    texts = [text for each in TEXTS[name] for text in near(each, rng)]
    # a plain string may write a character as an escape here, there only where it must; they take -0 between bounds
    texts = [text for text in texts if ("\\" not in text or name == "pattern") and text != "-0"]
    found = {text: (accepts(ours, text), theirs.accepts(text)) for text in texts}
    assert {text for text, (a, b) in found.items() if a != b} == set()
    assert {a for a, _ in found.values()} == {True, False}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_accepts_what_re_and_llguidance_accept(pattern):
    rng, ours = random.Random(pattern), Automaton({"root": regex_expression(pattern)})
    theirs = Outside(lambda matcher: matcher.grammar_from_regex(pattern))
    starts = ["123-abcé", "abcd", "abc", "ab@cd.org", "xyzyz", "abbcd"]
    for text in (text for start in starts for text in near(start, rng, 120)):
        want = re.fullmatch(pattern, text, re.ASCII) is not None
        assert accepts(ours, text) == want == theirs.accepts(text), text


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_accepted_is_valid(name):
    rng, ours = random.Random(name), Automaton(schema_rules(SCHEMAS[name]))
    texts = [text for each in TEXTS[name] for text in near(each, rng)]
    valid = [text for text in texts if accepts(ours, text)]
    assert valid
    for text in valid:
        jsonschema.validate(json.loads(text), SCHEMAS[name])


def test_whole_numbers_between_bounds():
    for low, high in ((0, 0), (-12, 7), (3, 1205), (-250, -13), (99, 101), (10, 10), (7, None), (None, -3), (None, 40)):
        automaton = Automaton({"root": integer_range(low, high)})
        for value in range(-1300, 1300):
            want = (low is None or value >= low) and (high is None or value <= high)
            assert accepts(automaton, str(value)) == want, (low, high, value)
        assert not accepts(automaton, "-0") and not accepts(automaton, "012")


def test_every_character_has_its_bytes():
    ranges = [(0x20, 0x7E), (0x41F, 0x9876), (0xD000, 0xE005), (0xFFF0, 0x10405)]
    automaton = Automaton({"root": characters(ranges)})
    edges = {code + d for pair in (*ranges, (0x7F, 0x800), (0xFFFF, 0x10000)) for code in pair for d in (-1, 0, 1)}
    for code in edges - set(range(0xD800, 0xE000)):
        assert accepts(automaton, chr(code)) == any(low <= code <= high for low, high in ranges), hex(code)
    assert not automaton.read(automaton.start, b"\xed\xa0"), "the first half of a pair is no character"


RECORDED = json.loads((ROOT / "book" / "data" / "samples.json").read_text(encoding="utf-8"))["schemas"]


def test_ten_thousand_hot_samples_were_drawn_and_none_that_ended_is_invalid():
    known = runpy.run_path(str(ROOT / "tools" / "schemas.py"))["SCHEMAS"]
    assert {name: row["schema"] for name, row in RECORDED.items()} == known and len(known) == 50
    drawn, ended = (sum(row[key] for row in RECORDED.values()) for key in ("samples", "ended"))
    assert drawn == 10_000 and ended >= 0.95 * drawn
    assert [text for row in RECORDED.values() for text in row["invalid"]] == []


def test_todays_grammars_accept_what_the_recorded_model_wrote():
    for name, row in RECORDED.items():
        automaton = Automaton(schema_rules(row["schema"]))
        assert row["examples"] and all(accepts(automaton, text) for text in row["examples"]), name


REFUSED = {
    "nothing fits": False,
    "itself": {"$ref": "#"},
    "itself inside": {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
    "never ends": {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
    "empty range": {"type": "integer", "minimum": 3, "maximum": 2},
    "unknown keyword": {"type": "object", "minProperties": 2},
    "not": {"not": {"type": "string"}},
    "unknown type": {"type": "strng"},
    "no such place": {"$ref": "#/$defs/none"},
    "elsewhere": {"$ref": "https://example.org/schema"},
    "huge": {"type": "array", "prefixItems": [{"type": "string", "maxLength": 9000}] * 3, "items": False},
    "huge pattern": {"type": "string", "pattern": "((((a{100}){100}){100}){100}){100}"},
    "look-ahead": {"type": "string", "pattern": "(?=a)a"},
    "back-reference": {"type": "string", "pattern": "(a)\\1"},
    "no pattern": {"type": "string", "pattern": "("},
    "no schema": [],
    "wrong number": {"type": "string", "maxLength": -1},
    "combined": {"enum": [1], "anyOf": [{}]},
    "long": {"enum": ["x" * 200_000]},
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_schema_that_cannot_be_served_is_refused(name):
    with pytest.raises(GrammarError):
        Automaton(schema_rules(REFUSED[name]))


def test_a_schema_nested_too_deeply_is_refused():
    deep = {}
    for _ in range(3000):
        deep = {"type": "array", "items": deep}
    with pytest.raises(GrammarError, match=r"deep|JSON"):
        schema_rules(deep)


def test_a_schema_grows_as_its_text_does_not_as_its_depth():
    nested = {"type": "null"}
    for _ in range(14):
        nested = {"type": "object", "properties": {"a": {"type": "array", "items": nested}}, "required": ["a"]}
    automaton = Automaton(schema_rules(nested))
    assert accepts(automaton, '{"a": [' * 14 + "null, null" + "]}" * 14)


def test_nesting_ends_where_the_stack_does_and_can_always_be_closed():
    automaton = Automaton(ANY_OBJECT)
    state = automaton.start
    for _ in range(200):
        following = automaton.read(state, b'{"a": ')
        if not following:
            break
        state = following
    else:
        raise AssertionError("nested without end")
    assert automaton.read(state, b"1}"), "the innermost object can be closed"


HOSTILE = ["(.{0,10}){0,40}", "(a|b)*a(a|b){200}", ".*" * 60, "(((.*)*)*)*(x|.*y)*", "(.*,){40}"]


@pytest.mark.parametrize("pattern", HOSTILE)
def test_a_hostile_pattern_costs_a_bounded_walk(pattern, smollm2_tokenizer):
    grammar = Grammar.from_regex(pattern, smollm2_tokenizer)
    state = grammar.start
    for token_id in smollm2_tokenizer.encode("abab, baba"):
        before = grammar.automaton.num_visits
        mask = grammar.mask(state)
        assert grammar.automaton.num_visits - before < 2_000_000
        assert mask.any()
        if not mask[token_id]:
            break
        state = grammar.advance(state, token_id)


def test_the_mask_is_what_reading_each_token_says(smollm2_tokenizer):
    rng, grammar = random.Random(3), Grammar.from_schema(PERSON, smollm2_tokenizer)
    vocabulary, state = grammar.vocabulary, grammar.start
    text = '{"name": "Zoë", "age": 36, "tags": ["bc"], "boss": {"name": "Bob", "age": 9}}'
    crossing = set()
    for token_id in smollm2_tokenizer.encode(text):
        mask = grammar.mask(state)
        for other in {*rng.sample(range(vocabulary.size), 400), token_id} - {vocabulary.eos_token_id}:
            data = vocabulary.token_bytes[other]
            assert mask[other] == bool(data and grammar.automaton.read(state, data)), data
        assert mask[vocabulary.eos_token_id] == grammar.automaton.is_accepting(state)
        data = vocabulary.token_bytes[token_id]
        crossing |= {data} if b'"' in data.strip(b'"') or b'",' in data or b'":' in data else set()
        assert mask[token_id]
        state = grammar.advance(state, token_id)
    assert len(crossing) >= 2, "the text has tokens that hold the end of one part and the start of the next"
    assert grammar.mask(state).sum() == 1, "only the end is left"


def random_text(grammar, rng, max_tokens=200):
    """Bytes of tokens drawn at random among the allowed ones; None when it has not ended."""
    state, data = grammar.start, b""
    for _ in range(max_tokens):
        (allowed,) = grammar.mask(state).nonzero()
        token_id = rng.choice(allowed)
        if token_id == grammar.vocabulary.eos_token_id:
            return data
        data += grammar.vocabulary.token_bytes[token_id]
        state = grammar.advance(state, token_id)
    return None


@pytest.mark.parametrize("name", SCHEMAS)
def test_random_tokens_give_valid_json(name, smollm2_tokenizer):
    rng, grammar = random.Random(name), Grammar.from_schema(SCHEMAS[name], smollm2_tokenizer)
    texts = [text for text in (random_text(grammar, rng) for _ in range(12)) if text is not None]
    assert texts
    for text in texts:
        jsonschema.validate(json.loads(text), SCHEMAS[name])


def test_a_grammar_behind_a_thinking_part(smollm2_tokenizer):
    grammar = Grammar.from_schema({"enum": ["yes", "no"]}, smollm2_tokenizer, after="</think>")
    for text, want in {'hm </thi</think>\n\n"yes"': True, '</think>"no"': True, '"no"': False, "x</think>no": False,
                       'a</think>"yes"</think>"no"': False}.items():  # fmt: skip
        assert grammar.accepts(text) == want, text
    eos = smollm2_tokenizer.eos_token_id
    assert not grammar.mask(grammar.start)[eos], "thinking has to end first"
    state = grammar.automaton.read(grammar.start, b"so</think")
    for data in (b">", b">\n", b'>"'):
        for token_id in [i for i, token in enumerate(grammar.vocabulary.token_bytes) if token == data]:
            assert grammar.mask(state)[token_id], "a token that crosses into the grammar"
    with pytest.raises(GrammarError):
        Grammar.from_schema({}, smollm2_tokenizer, after="")


def test_where_one_continuation_exists(smollm2_tokenizer):
    automaton = Grammar.from_schema(PERSON, smollm2_tokenizer).automaton
    assert automaton.forced_bytes(automaton.start) == b'{"name": "'
    assert automaton.forced_bytes(automaton.read(automaton.start, b'{"name": "A", ')) == b'"age": '
    assert automaton.forced_bytes(automaton.read(automaton.start, b'{"name": "A", "age": 7}')) == b""


def test_tokens_of_the_same_bytes_and_of_none():
    vocabulary = Vocabulary([b"a", b"b", b"ab", b"a", b"", b"abc", b"<end>"], 6)
    automaton = Automaton({"root": regex_expression("ab?")}, alphabet=vocabulary.alphabet)
    assert vocabulary.allowed(automaton, automaton.start).nonzero()[0].tolist() == [0, 2, 3]
    assert vocabulary.allowed(automaton, automaton.read(automaton.start, b"a")).nonzero()[0].tolist() == [1, 6]
    assert vocabulary.allowed(automaton, frozenset()).nonzero()[0].tolist() == [6], "nothing fits: the end is left"


def test_a_byte_that_no_token_writes_is_no_way_out():
    with pytest.raises(GrammarError, match="satisfied"):
        Automaton({"root": regex_expression("az")}, alphabet=1 << ord("a"))


PROMPTS = ["Ada Lovelace was 36. As JSON:", "A list of booleans:", "The temperature is", "Write a code:"]
NAMES = ["card", "array", "bounds", "pattern"]


def params_of(tokenizer, temperature, names=NAMES):
    return [
        SamplingParams(temperature, seed=i, max_tokens=60, grammar=Grammar.from_schema(SCHEMAS[name], tokenizer))
        for i, name in enumerate(names)
    ]


@pytest.fixture(scope="module")
def alone(smollm2_model, smollm2_tokenizer):
    engine = Engine(smollm2_model, smollm2_tokenizer)
    params = params_of(smollm2_tokenizer, 0.0)
    return [engine.generate([prompt], each)[0].output_token_ids for prompt, each in zip(PROMPTS, params, strict=True)]


@pytest.mark.parametrize("kind", ["batch", "speculation", "jump-forward"])
def test_each_request_of_a_batch_follows_its_own_grammar(kind, alone, smollm2_model, smollm2_tokenizer):
    draft = {"batch": None, "speculation": NgramDraft(), "jump-forward": JumpForward(smollm2_tokenizer, NgramDraft())}
    engine = Engine(smollm2_model, smollm2_tokenizer, draft=draft[kind])
    free = SamplingParams(max_tokens=8)
    params = [*params_of(smollm2_tokenizer, 0.0), free]
    *sequences, other = engine.generate([*PROMPTS, "The capital of France is"], params)
    assert [seq.output_token_ids for seq in sequences] == alone
    assert "Paris" in other.text
    for seq, name in zip(sequences, NAMES, strict=True):
        assert seq.finish_reason == "stop"
        jsonschema.validate(json.loads(seq.text), SCHEMAS[name])
    assert kind != "jump-forward" or engine.runner.num_accepted_tokens > 10
    engine.check_invariants()


def test_hot_samples_are_valid(smollm2_model, smollm2_tokenizer):
    names = [*NAMES, "pair", "optional"]
    engine = Engine(smollm2_model, smollm2_tokenizer, draft=JumpForward(smollm2_tokenizer))
    sequences = engine.generate(["Some JSON:"] * len(names), params_of(smollm2_tokenizer, 2.0, names))
    ended = [(seq, name) for seq, name in zip(sequences, names, strict=True) if seq.finish_reason == "stop"]
    assert len(ended) >= 3
    for seq, name in ended:
        jsonschema.validate(json.loads(seq.text), SCHEMAS[name])
