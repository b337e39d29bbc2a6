"""response_format over HTTP, by the openai client, with the real model, speculation on and several schemas at once."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import jsonschema
import openai
import pytest
from test_server import TIMEOUT_S, Served

from mini_engine.grammar.constraint import JumpForward
from mini_engine.speculative import NgramDraft
from mini_engine.tokenizer import load_smollm2_tokenizer
from mini_engine.weights import smollm2_is_cached

pytestmark = pytest.mark.skipif(not smollm2_is_cached(), reason="the real model is not here")

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["C", "F"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
FLAGS = {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 4}


@pytest.fixture(scope="module")
def served():
    draft = JumpForward(load_smollm2_tokenizer(), NgramDraft())
    served = Served("smollm2", num_blocks=400, block_size=16, draft=draft)
    yield served
    served.stop()


def ask(served, response_format, text="The weather in Rome, in Celsius, as JSON.", **options):
    options = {"max_tokens": 60, "temperature": 0, **options}
    messages = [{"role": "user", "content": text}]
    return served.client.chat.completions.create(
        model="smollm2", messages=messages, response_format=response_format, **options
    )


def of_schema(schema):
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def test_each_answer_of_a_batch_fits_its_own_schema(served):
    formats = [of_schema(CITY), of_schema(FLAGS), {"type": "text"}, of_schema(CITY)]
    with ThreadPoolExecutor(len(formats)) as pool:
        answers = list(pool.map(lambda each: ask(served, each, temperature=1.2, seed=3), formats))
    for answer, schema in zip(answers, (CITY, FLAGS, None, CITY), strict=True):
        choice = answer.choices[0]
        if schema is not None and choice.finish_reason == "stop":
            jsonschema.validate(json.loads(choice.message.content), schema)
    assert sum(answer.choices[0].finish_reason == "stop" for answer in answers) >= 2
    served.assert_nothing_left()


def test_any_object_and_a_stream(served):
    answer = ask(served, {"type": "json_object"}, "A JSON object with the key a and the value 1.", max_tokens=80)
    text = answer.choices[0].message.content
    assert text.startswith("{")
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(text), dict)
    pieces = ask(served, of_schema(CITY), stream=True)
    whole = "".join(piece.choices[0].delta.content or "" for piece in pieces)
    assert whole == ask(served, of_schema(CITY)).choices[0].message.content
    jsonschema.validate(json.loads(whole), CITY)


REFUSED = {
    "unknown type": {"type": "xml"},
    "no type": {},
    "no schema": {"type": "json_schema"},
    "a list": {"type": "json_schema", "json_schema": {"schema": []}},
    "unsatisfiable": of_schema({"type": "integer", "minimum": 3, "maximum": 2}),
    "for ever": of_schema({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}),
    "unknown keyword": of_schema({"type": "object", "minProperties": 1}),
    "huge": of_schema({"type": "string", "pattern": "((((a{99}){99}){99}){99}){99}"}),
    "many strings": of_schema({"enum": ["x" * 99] * 2000}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_served_is_a_400(name, served):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(served, REFUSED[name])
    assert caught.value.param.startswith("response_format")
    served.assert_nothing_left()


def test_a_schema_as_deep_as_the_parser_goes_is_a_400(served):
    body = '{"model": "smollm2", "messages": [{"role": "user", "content": "x"}], "response_format": '
    body += '{"type": "json_schema", "json_schema": {"schema": ' + '{"items": ' * 5000 + "{}" + "}" * 5000 + "}}}"
    answer = httpx.post(f"{served.url}/v1/chat/completions", content=body, timeout=TIMEOUT_S)
    assert answer.status_code == 400
    assert ask(served, of_schema(FLAGS)).choices, "the server lives"
