"""Builds both kinds of event with a helper each."""

def sse_events(outputs, request_id, model, created, chat=False):
    head = dict(id=request_id, model=model, created=created)

    def as_chat(text, role):
        return dict(delta=dict(role="assistant", content=text) if role else dict(content=text))

    def send(data):
        return "".join(("data: ", data if isinstance(data, str) else json.dumps(data, ensure_ascii=False), "\n\n"))

    count = 0
    for pair in outputs:
        text, reason = pair
        if text == "" and reason is None:
            continue
        body = as_chat(text, count == 0) if chat else dict(text=text)
        kind = ("text_completion", "chat.completion.chunk")[bool(chat)]
        yield send(head | dict(object=kind, choices=[dict(index=0, finish_reason=reason, **body)]))
        count += 1
    yield send("[DONE]")
