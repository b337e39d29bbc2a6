"""Asks a lent model for what operators and statements ask of an object.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
OPERATORS = [
    "__getitem__", "__setitem__", "__delitem__", "__len__", "__iter__", "__next__", "__contains__", "__enter__",
    "__exit__", "__bool__", "__index__", "__int__", "__float__", "__reversed__", "__reduce__", "__getattr__",
    "__getattribute__", "__setattr__", "__delattr__", "__init__", "__new__", "__del__", "__class__", "__setstate__",
]


def attack(model):
    for name in OPERATORS:
        for arguments in ((), (0,), ("config", 1)):
            if ask(model, "special", name, *arguments):
                yield name
