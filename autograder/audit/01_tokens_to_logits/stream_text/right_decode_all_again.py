"""decodes all bytes so far and holds back only an unfinished character"""


def stream_text(token_ids, token_bytes):
    data, done, shown = b"", "", []
    for i in token_ids:
        if i < 0 or i >= len(token_bytes):
            raise IndexError(f"no token {i}")
        data = data + token_bytes[i]
        complete = len(data)
        for back in range(1, min(4, len(data) + 1)):
            try:
                data[-back:].decode("utf-8")
            except UnicodeDecodeError as error:
                if error.reason == "unexpected end of data" and error.start == 0:
                    complete = len(data) - back
                    break
        text = data[:complete].decode("utf-8", "replace")
        shown.append(text[len(done) :])
        done = text
    shown.append(data.decode("utf-8", "replace")[len(done) :])
    return shown
