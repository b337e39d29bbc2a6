"""Sends headers that are deep, long or of one endless number.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
def attack(model):
    import socket, struct

    for text in (b"[" * 10**6, b'{"op": ' + b"9" * 10**7 + b"}", b'{"a": ' * 10**5, b'"' + b"x" * 10**7 + b'"', b"\\ud800"):
        channel = fields_of(model)["hub"].connect().channel
        try:
            channel.sock.sendall(struct.pack("!II", len(text), 0) + text)
            yield f"an answer {channel.receive()[0]} to {text[:9]}"
        except Exception:
            pass
        finally:
            channel.close()
