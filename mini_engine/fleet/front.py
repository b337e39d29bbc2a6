"""One address for a fleet: each request goes to a replica, and to another one where that is lost in time.

The rule: until the client has been told anything, a request can be asked again elsewhere, since nothing but time was
spent. After the first piece of a stream it cannot, for a second answer need not continue the first: the stream then
ends with an error event and without [DONE].
"""

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager
from functools import partial

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from mini_engine.serve.protocol import error_body

BUSY = (429, 503)  # this replica cannot now; another may


def create_front(fleet, silence_s=600.0, connect_s=5.0):
    """The application in front of a Fleet. silence_s: the longest wait for a byte from a replica.

    /health says who is up, and counts: answered, passed_on (a replica's own 4xx), retried, refused, broken.
    """
    counts = Counter(answered=0, passed_on=0, retried=0, refused=0, broken=0)

    @asynccontextmanager
    async def lifespan(app):
        timeout = httpx.Timeout(silence_s, connect=connect_s)
        # no connection is kept: one that its replica has just closed would look like a lost replica
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with httpx.AsyncClient(timeout=timeout, limits=limits) as client:
            app.state.client = client
            fleet.start()
            yield
            await fleet.stop()

    app = FastAPI(title="fleet", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.counts = counts
    _add_routes(app, fleet, counts)
    return app


def _add_routes(app, fleet, counts):
    @app.get("/health")
    async def health():
        replicas = {r.name: {"url": r.url, "num_starts": r.num_starts} for r in fleet.replicas.values()}
        body = {"replicas": replicas, "sent": fleet.router.num_sent, "counts": dict(counts)}
        return JSONResponse(body, 200 if fleet.router.load else 503)

    @app.get("/v1/models")
    async def models(request: Request):
        return await answer(Ask("GET", "/v1/models", b"", ""), request)

    @app.post("/v1/completions")
    async def completions(request: Request):
        return await answer(await ask_of(request), request)

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request):
        return await answer(await ask_of(request), request)

    async def answer(ask, request):
        work = asyncio.create_task(first_answer(app.state.client, fleet, ask, counts))
        gone = asyncio.create_task(has_left(request))
        await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if work.done():
            return work.result()
        work.cancel()  # so that the replica hears of it and frees what the request holds
        await asyncio.gather(work, return_exceptions=True)
        return Response(status_code=499)


class Ask:
    """A request as it came: its body is sent on byte for byte. text: what its prefix is known by."""

    def __init__(self, method, path, body, text):
        self.method, self.path, self.body, self.text = method, path, body, text


async def ask_of(request):
    """The Ask of a request; what cannot be read has no text, and a replica will say what is wrong with it."""
    body = await request.body()
    try:
        data = json.loads(body)
        text = data.get("prompt", "") if "prompt" in data else "\n".join(str(m["content"]) for m in data["messages"])
    except (ValueError, LookupError, TypeError, AttributeError):
        text = ""
    return Ask("POST", request.url.path, body, text if isinstance(text, str) else json.dumps(text))


async def has_left(request):
    """Return when the client is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def first_answer(client, fleet, ask, counts):
    """The response of the first replica that gives one; each is asked at most once. Else its 429, or 503."""
    router, tried, busy = fleet.router, set(), None
    blocks = router.blocks_of(ask.text)
    while (name := router.choose(blocks, tried)) is not None:
        counts["retried"] += bool(tried)
        tried.add(name)
        router.begin(name, blocks)
        handed_on = False
        try:
            url = fleet.replicas[name].url
            headers = {"content-type": "application/json"}
            sent = client.build_request(ask.method, f"{url}{ask.path}", content=ask.body, headers=headers)
            reply = await client.send(sent, stream=True)
            try:
                if reply.status_code in BUSY:
                    busy = await whole(reply)
                elif reply.headers.get("content-type", "").startswith("text/event-stream"):
                    pieces = reply.aiter_raw()
                    first = await anext(pieces)
                    handed_on = True
                    return Relay(reply, relayed(first, pieces, counts), partial(router.end, name, blocks))
                else:
                    response = await whole(reply)
                    counts["answered" if reply.status_code == 200 else "passed_on"] += 1
                    return response
            finally:
                if not handed_on:
                    await reply.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, StopAsyncIteration):
            continue  # lost before its first byte
        finally:
            if not handed_on:
                router.end(name, blocks)
    counts["refused"] += 1
    if busy is not None:
        return busy
    return JSONResponse(error_body("no replica can answer now", "server_error"), 503, {"Retry-After": "1"})


async def whole(reply):
    """A Response with all that the replica says."""
    kept = {name: reply.headers[name] for name in ("content-type", "retry-after") if name in reply.headers}
    return Response(await reply.aread(), reply.status_code, kept)


class Relay(StreamingResponse):
    """A replica's stream. It is closed in any case, even when the client is gone before the first piece."""

    def __init__(self, reply, pieces, on_close):
        super().__init__(pieces, media_type="text/event-stream")
        self.reply, self.on_close = reply, on_close

    async def __call__(self, scope, receive, send):
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.on_close()
            await self.reply.aclose()


async def relayed(first, pieces, counts):
    """The pieces as they come. A replica that is lost leaves an error event at the end, never silence."""
    last = first
    try:
        yield first
        async for piece in pieces:
            yield piece
            last = (last + piece)[-64:]
        counts["answered" if b"[DONE]" in last else "broken"] += 1
    except httpx.HTTPError:
        counts["broken"] += 1
        yield f"\n\ndata: {json.dumps(error_body('the replica was lost', 'server_error'))}\n\n".encode()
