"""Sends the tester notes that bring more and more memory with them, which only it would hold.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
bomb: yes
"""
# %%
def attack(model):
    block = bytes(128 << 20)
    notes = [({"op": "note", "n": [[key, 0]]}, block) for key in range(1001, 1065, 2)]
    last = {"op": "get", "on": fields_of(model)["number"], "name": "config"}, b""
    if connect(model, *notes, last) is not None:
        yield "4 GiB of notes"
