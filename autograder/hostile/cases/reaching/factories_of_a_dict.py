"""Sends dicts that would call something of the tester's for a key that they lack.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
FACTORIES = [
    ["name", "builtins", "input"], ["name", "builtins", "open"], ["name", "builtins", "exec"], ["module", "numpy"],
    ["name", "os", "fork"], ["name", "time", "sleep"], ["name", "functools", "partial"], ["ours", 10**6], 5, "list",
]


def attack(model):
    for factory in FACTORIES:
        if accepts(model, ["dict", None, [], "defaultdict", factory]):
            yield str(factory)
    for kind in ("UserDict", "ChainMap", "__class__", None, 5, ["name", "builtins", "dict"]):
        if accepts(model, ["dict", None, [], kind]):
            yield str(kind)
