"""Gives objects back more often than it got them, and some that it never had.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
def attack(model):
    number = fields_of(model)["number"]
    last = {"op": "get", "on": number, "name": "config"}
    for gone in ([[number + 5000, 1]], [[number, 0]], [[number, -5]], [[number, True]], [[number, "1"]], [number], 5, [[]]):
        if connect(model, ({**last, "f": gone}, b"")) is not None:
            yield f"released {gone}"
