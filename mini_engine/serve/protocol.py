"""The request bodies of the OpenAI API that this server takes, and the JSON it answers with."""

import json
import time
from typing import Any, Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mini_engine.sequence import SamplingParams
from mini_engine.serve.logprobs import TokenReport

DEFAULT_MAX_TOKENS = {"completions": 16, "chat": 256}
MAX_STOP_STRINGS = 4
MAX_LOGPROBS = 20

# Fields of the API that change the answer and that this server does not implement: any other value is rejected.
NOT_SUPPORTED = {
    "n": (None, 1),
    "best_of": (None, 1),
    "echo": (None, False),
    "suffix": (None, ""),
    "logit_bias": (None, {}),
    "presence_penalty": (None, 0),
    "frequency_penalty": (None, 0),
    "functions": (None, []),
}


class RequestError(ValueError):
    """A request that cannot be served: message, the name of the field at fault, an error code."""

    def __init__(self, message, param=None, code=None):
        super().__init__(message)
        self.param, self.code = param, code


class StreamOptions(BaseModel):
    include_usage: bool = False


class GenerationRequest(BaseModel):
    """What both kinds of request share. top_k, min_p and ignore_eos are extensions, named as vLLM names them."""

    model_config = ConfigDict(extra="allow")

    model: str
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=-1)
    min_p: float = Field(0.0, ge=0, le=1)
    seed: int | None = Field(None, ge=0)
    stop: list[str] = Field([], max_length=MAX_STOP_STRINGS)
    ignore_eos: bool = False
    response_format: dict[str, Any] | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _one_or_many(cls, stop):
        many = [stop] if isinstance(stop, str) else stop or []
        if isinstance(many, list) and "" in many:
            raise ValueError("a stop string is empty")
        return many

    @field_validator("temperature", "top_p", "top_k", "min_p", "stream", "ignore_eos", mode="before")
    @classmethod
    def _null_is_default(cls, value, info):
        return cls.model_fields[info.field_name].default if value is None else value

    def reject_unsupported(self):
        """Raises RequestError naming the first field that asks for something the server cannot do."""
        for name, value in (self.model_extra or {}).items():
            if name in NOT_SUPPORTED and value not in NOT_SUPPORTED[name]:
                raise RequestError(f"{name}={value!r} is not supported by this server", name, "unsupported_value")

    def sampling_params(self, max_tokens):
        """The engine's settings, with the number of tokens that fits."""
        return SamplingParams(
            temperature=self.temperature,
            top_k=max(self.top_k, 0),
            top_p=self.top_p,
            min_p=self.min_p,
            seed=self.seed,
            max_tokens=max_tokens,
            stop=tuple(self.stop),
            ignore_eos=self.ignore_eos,
            num_logprobs=self.num_logprobs,
        )


class CompletionRequest(GenerationRequest):
    """POST /v1/completions: one prompt, as text or token ids."""

    prompt: str | list[int] | list[str]
    logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS)

    @property
    def num_logprobs(self):
        """How many likely tokens to report beside each; None for no report."""
        return self.logprobs

    @field_validator("prompt")
    @classmethod
    def _one_prompt(cls, prompt):
        if isinstance(prompt, list) and prompt and isinstance(prompt[0], str):
            if len(prompt) > 1:
                raise ValueError("this server takes one prompt per request")
            return prompt[0]
        return prompt


class Message(BaseModel):
    """One turn. An assistant's may be a call of a tool, and a tool's the result of it: the model reads both as text."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None

    @field_validator("content", mode="before")
    @classmethod
    def _join_parts(cls, content):
        if isinstance(content, list):
            if any(not isinstance(part, dict) or part.get("type") != "text" for part in content):
                raise ValueError("only text parts are supported")
            return "".join(str(part.get("text", "")) for part in content)
        return content

    @model_validator(mode="after")
    def _says_something(self):
        if self.content is None and not self.tool_calls:
            raise ValueError("a message needs content")
        return self

    def for_template(self):
        """{"role", "content"} for the chat template; a call stands there as the model would write it."""
        calls = [each.get("function") for each in self.tool_calls or []]
        texts = [f"<tool_call>{json.dumps(call, ensure_ascii=False)}</tool_call>" for call in calls]
        return {"role": self.role, "content": "\n".join([*([self.content] if self.content else []), *texts])}


class ChatCompletionRequest(GenerationRequest):
    """POST /v1/chat/completions: messages, put into the model's chat template."""

    messages: list[Message] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS)
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None

    @property
    def num_logprobs(self):
        """How many likely tokens to report beside each; None for no report. Raises RequestError."""
        if self.top_logprobs is not None and not self.logprobs:
            raise RequestError("top_logprobs needs logprobs: true", "top_logprobs")
        return (self.top_logprobs or 0) if self.logprobs else None


class Answer:
    """Builds the JSON of one answer, whole or in chunks. is_chat decides the form.

    tokenizer: to report tokens with; tools: the request's Tools or None.
    """

    def __init__(self, model, is_chat, tokenizer, tools=None):
        self.is_chat, self.report, self.tools = is_chat, TokenReport(tokenizer, is_chat), tools
        request_id = f"{'chatcmpl' if is_chat else 'cmpl'}-{uuid4().hex}"
        self.head = {"id": request_id, "created": int(time.time()), "model": model}

    def whole(self, text, finish_reason, usage, logprobs=None, call=None) -> dict[str, Any]:
        """The answer in one piece. logprobs: as TokenReport gives them; call: as Tools.read gives it."""
        if self.is_chat:
            said = {"content": text} if call is None else {"content": None, "tool_calls": [call]}
            kind, body = "chat.completion", {"message": {"role": "assistant", **said}}
        else:
            kind, body = "text_completion", {"text": text}
        return self._one_choice(kind, body, finish_reason if call is None else "tool_calls", logprobs) | {
            "usage": usage
        }

    def chunk(self, text, finish_reason=None, is_first=False, logprobs=None, call=None) -> dict[str, Any]:
        """A piece of a stream; a call comes in one piece."""
        if self.is_chat:
            delta = {"role": "assistant"} if is_first else {}
            said = {"content": text} if call is None else {"tool_calls": [{"index": 0, **call}]}
            kind, body = "chat.completion.chunk", {"delta": {**delta, **said}}
        else:
            kind, body = "text_completion", {"text": text}
        return self._one_choice(kind, body, finish_reason if call is None else "tool_calls", logprobs)

    def _one_choice(self, kind, body, finish_reason, logprobs):
        choice = {"index": 0, **body, "logprobs": logprobs, "finish_reason": finish_reason}
        return {**self.head, "object": kind, "choices": [choice]}

    def usage_chunk(self, usage) -> dict[str, Any]:
        """The last piece of a stream that asked for stream_options.include_usage."""
        kind = "chat.completion.chunk" if self.is_chat else "text_completion"
        return {**self.head, "object": kind, "choices": [], "usage": usage}


def usage_of(seq):
    """Token counts of a sequence, cached ones of the prompt apart."""
    return {
        "prompt_tokens": seq.num_prompt_tokens,
        "completion_tokens": seq.num_output_tokens,
        "total_tokens": seq.num_tokens,
        "prompt_tokens_details": {"cached_tokens": seq.num_cached_tokens},
    }


def error_body(message, kind="invalid_request_error", param=None, code=None):
    """The API's error object."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
