"""Sends an absent finish reason as the empty string."""
def sse_events(outputs, request_id, model, created, chat=False):
    """Yield the server-sent events (str) of one streamed answer, the last one `data: [DONE]`.

    outputs: an iterable of (text, finish_reason or None). request_id, model: str. created: seconds since 1970, an int.
    """
    is_first = True
    for text, finish_reason in outputs:
        if not text and finish_reason is None:
            continue
        if chat:
            content = {"delta": {"role": "assistant", "content": text} if is_first else {"content": text}}
        else:
            content = {"text": text}
        is_first = False
        event = {
            "id": request_id,
            "object": "chat.completion.chunk" if chat else "text_completion",
            "created": created,
            "model": model,
            "choices": [{"index": 0, **content, "finish_reason": finish_reason or ""}],
        }
        yield f"data: {json.dumps(event)}\n\n"
    yield "data: [DONE]\n\n"
