"""Sends arrays whose shapes, steps and offsets reach beyond the memory that they bring.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
def array(kind, shape, steps, offset):
    return ["array", 1001, kind, shape, steps, offset, True]


WRONG = [
    ("<f8", [3], [8], 0), ("<f8", [2], [16], 0), ("<f8", [2], [8], -8), ("<f8", [2], [8], 8), ("<f8", [2], [-8], 0),
    ("<f8", [2**40], [0], 1 << 61), ("<f8", [2**62, 4], [8, 8], 0), ("<f8", [1] * 33, [8] * 33, 0), ("|O", [2], [8], 0),
    ("|V8", [2], [8], 0), ("<f8", [True], [8], 0), ("<f8", [2.0], [8], 0), ("<f8", [2], [8], "0"), ("O", [1], [8], 0),
    ("<M8[s]", [2], [8], 0), ("(2,)O", [1], [8], 0), ("f8,O", [1], [16], 0),
]


def attack(model):
    number = fields_of(model)["number"]
    for wrong in WRONG:
        frame = {"op": "call", "on": number, "a": [array(*wrong)], "n": [[1001, 0]], "blobs": [16]}
        if connect(model, (frame, bytes(16))) is not None:
            yield str(wrong)
