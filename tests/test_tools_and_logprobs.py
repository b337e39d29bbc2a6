"""Tools and log-probabilities over HTTP, by the openai client."""

import json

import jsonschema
import openai
import pytest
import torch
from test_server import Served

from mini_engine.engine import Engine
from mini_engine.grammar.constraint import JumpForward
from mini_engine.loading import load
from mini_engine.sequence import SamplingParams
from mini_engine.serve.protocol import Message, RequestError
from mini_engine.serve.tools import Tools
from mini_engine.speculative import NgramDraft
from mini_engine.tokenizer import load_smollm2_tokenizer
from mini_engine.weights import smollm2_is_cached

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"$ref": "#/$defs/unit"}},
    "required": ["city", "unit"],
    "additionalProperties": False,
    "$defs": {"unit": {"enum": ["C", "F"]}},
}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "Today's weather.", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}},
]
QUESTION = [{"role": "user", "content": "How warm is it in Rome, in C?"}]
CALL = '{"name": "weather", "arguments": {"city": "Rome", "unit": "C"}}'


@pytest.fixture(scope="module")
def smollm2_server():
    if not smollm2_is_cached():
        pytest.skip("the real model is not here")
    served = Served("smollm2", num_blocks=400, draft=JumpForward(load_smollm2_tokenizer(), NgramDraft()))
    yield served
    served.stop()


@pytest.fixture(scope="module")
def tiny_server():
    served = Served()
    yield served
    served.stop()


def chat(served, model="smollm2", messages=QUESTION, **options):
    options = {"max_tokens": 60, "temperature": 0, **options}
    return served.client.chat.completions.create(model=model, messages=messages, **options)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_a_wanted_call_fits_its_function(smollm2_server, choice):
    answer = chat(smollm2_server, tools=TOOLS, tool_choice=choice).choices[0]
    [call] = answer.message.tool_calls
    assert answer.finish_reason == "tool_calls" and answer.message.content is None
    assert call.function.name in ("weather", "clock") if choice == "required" else call.function.name == "weather"
    if call.function.name == "weather":
        jsonschema.validate(json.loads(call.function.arguments), WEATHER)
    smollm2_server.assert_nothing_left()


def test_a_streamed_call_comes_whole_and_its_result_goes_back(smollm2_server):
    choice = {"type": "function", "function": {"name": "weather"}}
    pieces = [piece.choices[0] for piece in chat(smollm2_server, tools=TOOLS, tool_choice=choice, stream=True)]
    [call] = [call for piece in pieces for call in piece.delta.tool_calls or []]
    assert pieces[-1].finish_reason == "tool_calls" and not any(piece.delta.content for piece in pieces)
    jsonschema.validate(json.loads(call.function.arguments), WEATHER)
    turn = {"role": "assistant", "tool_calls": [{"id": call.id, "type": "function", "function": json.loads(CALL)}]}
    history = [*QUESTION, turn, {"role": "tool", "tool_call_id": call.id, "content": "21"}]
    assert (
        chat(smollm2_server, messages=history, tools=TOOLS, tool_choice="none", max_tokens=8).choices[0].message.content
    )


def test_a_call_that_was_cut_off_is_told_as_text(smollm2_server):
    answer = chat(smollm2_server, tools=TOOLS, tool_choice="required", max_tokens=3).choices[0]
    assert answer.finish_reason == "length" and answer.message.content and not answer.message.tool_calls


def test_where_the_model_is_free_its_text_decides():
    tools = Tools(TOOLS)
    assert tools.grammar(None) is None
    call = tools.read(f" <tool_call>{CALL}</tool_call>\n")["function"]
    assert call["name"] == "weather" and json.loads(call["arguments"]) == {"city": "Rome", "unit": "C"}
    for text in ("It is warm.", CALL, f"So: <tool_call>{CALL}", "<tool_call>{", '<tool_call>{"name": "x"}'):
        assert tools.read(text) is None, text
    [system, user] = tools.into([Message(role="user", content="a")])
    assert system["role"] == "system" and '"name": "weather"' in system["content"] and user["content"] == "a"
    [both] = tools.into([Message(role="system", content="Be brief.")])
    assert both["content"].startswith("Be brief.\n\nYou can call")
    assert Tools(TOOLS, "none").into([Message(**QUESTION[0])]) == QUESTION
    assert Tools(TOOLS, "none").read(f"<tool_call>{CALL}") is None


REFUSED = {
    "no name": {"tools": [{"type": "function", "function": {}}]},
    "a name with a space": {"tools": [{"type": "function", "function": {"name": "a b"}}]},
    "another type": {"tools": [{"type": "search"}]},
    "twice": {"tools": [TOOLS[0], TOOLS[0]]},
    "unknown": {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "x"}}},
    "nothing to choose": {"tool_choice": "required"},
    "another word": {"tools": TOOLS, "tool_choice": "perhaps"},
}


@pytest.mark.parametrize("name", REFUSED)
def test_tools_that_cannot_be_served_are_a_400(tiny_server, name):
    with pytest.raises(openai.BadRequestError) as caught:
        chat(tiny_server, "tiny", **REFUSED[name])
    assert caught.value.param in ("tools", "tool_choice")


def test_parameters_that_no_grammar_covers_are_refused_by_name():
    bad = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "minProperties": 1}}}
    with pytest.raises(RequestError) as caught:
        Tools([bad], "required").grammar(load_smollm2_tokenizer() if smollm2_is_cached() else load("tiny")[1])
    assert caught.value.param == "tools"


def test_logprobs_of_a_chat_are_the_models(tiny_server):
    choice = chat(tiny_server, "tiny", max_tokens=5, logprobs=True, top_logprobs=3).choices[0]
    model, tokenizer = load("tiny", dtype=torch.float64)
    prompt = tokenizer.apply_chat_template(QUESTION)
    text = tokenizer.encode(choice.message.content)
    with torch.inference_mode():
        wanted = model(torch.tensor([prompt + text]))[0, len(prompt) - 1 :].log_softmax(-1)
    assert len(choice.logprobs.content) == 5
    for entry, row, token in zip(choice.logprobs.content, wanted, text, strict=False):
        assert entry.logprob == pytest.approx(row[token].item(), abs=1e-4) and entry.token == chr(token)
        assert [t.logprob for t in entry.top_logprobs] == pytest.approx(row.topk(3).values.tolist(), abs=1e-4)
        assert entry.top_logprobs[0].token == entry.token and bytes(entry.bytes).decode() == entry.token


def test_logprobs_of_a_completion_and_of_a_stream(tiny_server):
    ask = dict(model="tiny", prompt="abc", max_tokens=6, temperature=0.8, seed=1, logprobs=2)
    whole = tiny_server.client.completions.create(**ask).choices[0]
    report = whole.logprobs
    assert "".join(report.tokens) == whole.text and report.text_offset == [0, 1, 2, 3, 4, 5]
    assert all(len(top) == 2 and max(top.values()) <= 0 for top in report.top_logprobs)
    pieces = [p.choices[0].logprobs for p in tiny_server.client.completions.create(**ask, stream=True)]
    assert [t for piece in pieces if piece for t in piece.tokens] == report.tokens
    assert [t for piece in pieces if piece for t in piece.text_offset] == report.text_offset
    with pytest.raises(openai.BadRequestError) as caught:
        chat(tiny_server, "tiny", top_logprobs=3)
    assert caught.value.param == "top_logprobs"


@pytest.mark.parametrize("options", [{}, {"draft": NgramDraft()}, {"num_blocks": 9, "block_size": 4}])
def test_logprobs_do_not_depend_on_speculation_or_preemption(options):
    model, tokenizer = load("tiny", dtype=torch.float64)
    prompts = ["abcabcabc", "xyxyxy"]
    params = SamplingParams(max_tokens=12, num_logprobs=1)
    alone = [Engine(model, tokenizer).generate([prompt], params)[0] for prompt in prompts]
    together = Engine(model, tokenizer, **options).generate(prompts, params)
    for one, other in zip(alone, together, strict=True):
        assert one.output_token_ids == other.output_token_ids
        assert len(one.logprobs) == 12 <= len(other.logprobs)
        assert [p for p, _ in one.logprobs] == pytest.approx([p for p, _ in other.logprobs[:12]], abs=1e-5)
