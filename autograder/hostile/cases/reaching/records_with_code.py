"""Sends the tester records and named tuples whose names and fields are code or methods.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
def record(name, fields, values, *settings):
    return ["dataclass", None, values, name, fields, *settings]


def attack(model):
    for fields in (["__eq__"], ["__class__"], ["a=print()"], ["a", "a"], ["lambda"], ["x" * 300 + " "], ["a"] * 300, [5]):
        for settings in ([False, True, False], [True, True, True]):
            if accepts(model, record("T", fields, [], *settings)):
                yield f"fields {fields[:2]}"
        if accepts(model, ["tuple", [1] * len(fields), "T", fields]):
            yield f"names {fields[:2]}"
    for settings in ([], [1, 1, 1], ["no", True, False], [False, True, False, True], [["name", "builtins", "int"]] * 3):
        if accepts(model, record("T", ["a"], ["a", 1], *settings)):
            yield f"settings {settings}"
    for values in (["__eq__", 1], ["__class__", 1], ["__dict__", 1], [5, 1], ["a"]):
        if accepts(model, record("T", ["a"], values, False, True, False)):
            yield f"values {values}"
