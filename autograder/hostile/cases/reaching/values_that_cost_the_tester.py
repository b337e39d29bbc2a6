"""Sends the tester values that are short to write and take for ever to make.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
def attack(model):
    values = {
        "a fraction": ["fraction", ["1e400000000"]],
        "a fraction of two": ["fraction", ["1", "1e400000000"]],
        "a dimension": ["objects", [1 << 40], []],
        "a text": ["dtype", "U9999999"],
        "a derived": ["derived", "int", "9" * 5000, {}],
        "a class": ["name", "mini_engine.model", "sys.modules"],
        "a range": ["range", [0, 1 << 70]],
    }
    for name, coded in values.items():
        if accepts(model, coded):
            yield name
