"""An OpenAI-compatible HTTP server around the engine: completions, chat, streaming, metrics.

The API is that of platform.openai.com/docs/api-reference (completions, chat), as vLLM and llama.cpp serve it too.
"""

import asyncio
import json
import re
from contextlib import asynccontextmanager
from dataclasses import replace

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.exceptions import HTTPException

from mini_engine.serve.async_engine import AsyncEngine, EngineDeadError, QueueFullError
from mini_engine.serve.formats import grammar_for
from mini_engine.serve.metrics import Metrics
from mini_engine.serve.protocol import (
    DEFAULT_MAX_TOKENS,
    Answer,
    ChatCompletionRequest,
    CompletionRequest,
    RequestError,
    error_body,
    usage_of,
)
from mini_engine.serve.tools import Tools

MAX_CHARS_PER_TOKEN = 64  # a longer text cannot fit the context; rejected before it is tokenized
TOO_LONG = "context_length_exceeded"


def create_app(engine, model_name, max_requests=128):
    """The application for one engine. max_requests: unfinished requests at once; one more is answered with 429."""
    metrics = Metrics()
    worker = AsyncEngine(engine, max_requests, on_finish=metrics.observe)

    @asynccontextmanager
    async def lifespan(app):
        worker.start()
        yield
        await worker.stop()

    app = FastAPI(title="mini_engine", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.worker = worker
    _add_error_handlers(app)
    _add_info_routes(app, worker, metrics, model_name)

    @app.post("/v1/completions")
    async def completions(body: CompletionRequest, request: Request):
        token_ids = await _token_ids(engine, body.prompt, "prompt")
        return await serve(body, token_ids, body.max_tokens, "completions", request)

    @app.post("/v1/chat/completions")
    async def chat_completions(body: ChatCompletionRequest, request: Request):
        tools = Tools(body.tools, body.tool_choice)
        token_ids = await _token_ids(engine, tools.into(body.messages), "messages")
        return await serve(body, token_ids, body.max_completion_tokens or body.max_tokens, "chat", request, tools)

    async def serve(body, token_ids, max_tokens, kind, request, tools=None):
        if body.model not in (models := names(engine, model_name)):
            raise HTTPException(404, f"the model {body.model!r} is not served here, {', '.join(map(repr, models))} is")
        body.reject_unsupported()
        params = await _params(engine, body, token_ids, max_tokens, kind, tools)
        stream = worker.submit(token_ids, params)
        answer = Answer(body.model, kind == "chat", engine.tokenizer, tools)
        if body.stream:
            with_usage = body.stream_options is not None and body.stream_options.include_usage
            return EventStream(_events(stream, answer, with_usage), on_close=lambda: worker.cancel(stream))
        return await _whole(worker, stream, answer, request)

    return app


def names(engine, model_name):
    """What a request may call for as its model: the served one, or one of its adapters, as in vLLM."""
    return [model_name, *getattr(engine.model, "adapters", ())]


def _add_info_routes(app, worker, metrics, model_name):
    """What is served, whether it is well, and how it fares."""

    @app.get("/v1/models")
    async def models():
        card = {"object": "model", "created": 0, "owned_by": "mini_engine"}
        card |= {"max_model_len": worker.engine.max_model_len}
        return {"object": "list", "data": [{"id": name, **card} for name in names(worker.engine, model_name)]}

    @app.get("/health")
    async def health():
        return JSONResponse({"status": "ok" if worker.is_alive else "down"}, 200 if worker.is_alive else 503)

    @app.get("/metrics")
    async def metrics_page():
        return PlainTextResponse(metrics.render(worker.snapshot), media_type="text/plain; version=0.0.4")


async def _token_ids(engine, prompt, field):
    """The prompt (text, token ids or messages) as token ids that fit the context; RequestError names the field."""
    limit, tokenizer = engine.max_model_len, engine.tokenizer
    texts = [m if isinstance(m, str) else m["content"] for m in prompt if isinstance(m, (str, dict))]
    if sum(map(len, texts)) > limit * MAX_CHARS_PER_TOKEN:
        raise RequestError(f"{field} is far longer than the context of {limit} tokens", field, TOO_LONG)
    if texts:  # in a thread, so that a long text does not hold up the other streams
        encode = tokenizer.encode if isinstance(prompt, str) else tokenizer.apply_chat_template
        token_ids = await asyncio.to_thread(encode, prompt)
    else:
        token_ids = list(prompt)
    if not token_ids:
        raise RequestError(f"{field} is empty: at least one token is needed", field)
    if not all(0 <= token < engine.model.config.vocab_size for token in token_ids):
        raise RequestError(f"{field} has a token id outside the vocabulary", field)
    if len(token_ids) >= limit:
        message = f"{field} has {len(token_ids)} tokens; the context is {limit}, and the answer needs room in it"
        raise RequestError(message, field, TOO_LONG)
    return token_ids


async def _params(engine, body, token_ids, max_tokens, kind, tools):
    """The request's SamplingParams; a grammar is made in a thread, as a long text is tokenized."""
    adapter = body.model if body.model in getattr(engine.model, "adapters", ()) else ""
    params = replace(body.sampling_params(_room_for(engine, token_ids, max_tokens, kind)), adapter=adapter)
    if tools and tools.wanted:
        if body.response_format is not None:
            raise RequestError("response_format cannot be combined with a tool that must be called", "response_format")
        return replace(params, grammar=await asyncio.to_thread(tools.grammar, engine.tokenizer))
    if body.response_format is None:
        return params
    return replace(params, grammar=await asyncio.to_thread(grammar_for, body.response_format, engine.tokenizer))


def _room_for(engine, token_ids, max_tokens, kind):
    """max_tokens as asked for, or the default where it fits. Raises RequestError when it does not."""
    room = engine.max_model_len - len(token_ids)
    if max_tokens is None:
        return min(room, DEFAULT_MAX_TOKENS[kind])
    if max_tokens > room:
        message = f"max_tokens is {max_tokens}, but only {room} tokens fit behind a prompt of {len(token_ids)}"
        raise RequestError(message, "max_tokens", TOO_LONG)
    return max_tokens


class EventStream(StreamingResponse):
    """Server-sent events. on_close is called in any case, even when the client is gone before the first event."""

    def __init__(self, events, on_close):
        super().__init__(events, media_type="text/event-stream")
        self.on_close = on_close

    async def __call__(self, scope, receive, send):
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.on_close()


async def _events(stream, answer, with_usage):
    """The events of one answer: a chunk per step, [DONE] at the end. Where a tool may be called, the end decides."""

    def event(data):
        return f"data: {json.dumps(data)}\n\n"

    try:
        tools = answer.tools
        is_first, waits = True, bool(tools and tools.may_call)
        async for output in stream:
            text, call, reason = output.new_text, None, output.finish_reason
            if waits:
                text = stream.seq.text if reason else ""
                call = tools.read(text) if reason else None
            if text or reason or is_first:
                yield event(answer.chunk(text, reason, is_first, answer.report.piece(stream.seq), call))
                is_first = False
        if with_usage:
            yield event(answer.usage_chunk(usage_of(stream.seq)))
        yield "data: [DONE]\n\n"
    except (EngineDeadError, ValueError) as error:  # the status line is out already
        yield event(error_body(str(error), "server_error"))


async def _whole(worker, stream, answer, request):
    """The answer in one piece; given up as soon as the client is gone."""

    async def collect():
        outputs, seq = [output async for output in stream], stream.seq
        call = answer.tools.read(seq.text) if answer.tools else None
        return answer.whole(seq.text, outputs[-1].finish_reason, usage_of(seq), answer.report.piece(seq), call)

    async def gone():
        while (await request.receive())["type"] != "http.disconnect":
            pass

    tasks = [asyncio.create_task(collect()), asyncio.create_task(gone())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return await tasks[0] if tasks[0].done() else PlainTextResponse("", 499)
    except ValueError as error:  # a limit that only the engine knows
        raise RequestError(str(error)) from None
    finally:
        for task in tasks:
            task.cancel()
        worker.cancel(stream)


def _add_error_handlers(app):
    """Every error in the API's form: 400 with the field's name, 404, 429, 503."""

    def reply(status, message, kind="invalid_request_error", param=None, code=None, headers=None):
        return JSONResponse(error_body(message, kind, param, code), status, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request, error):
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return reply(400, f"the body is not valid JSON: {first['ctx']['error']}", code="invalid_json")
        names = [str(part) for part in first["loc"][1:] if not re.match(r"str$|list\[|function-", str(part))]
        field = ".".join(names) or "body"
        return reply(400, f"{field}: {first['msg']}", param=field)

    @app.exception_handler(RequestError)
    async def rejected(request, error):
        return reply(400, str(error), param=error.param, code=error.code)

    @app.exception_handler(QueueFullError)
    async def full(request, error):
        return reply(429, str(error), "rate_limit_error", code="queue_full", headers={"Retry-After": "1"})

    @app.exception_handler(EngineDeadError)
    async def dead(request, error):
        return reply(503, str(error), "server_error")

    @app.exception_handler(HTTPException)
    async def http(request, error):
        code = "model_not_found" if error.status_code == 404 and request.method == "POST" else None
        return reply(error.status_code, str(error.detail), code=code)
