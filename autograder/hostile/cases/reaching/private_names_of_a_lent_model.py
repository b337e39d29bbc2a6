"""Asks a lent model for the names that lead to its module, its code and its pickled form.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
NAMES = [
    "__class__", "__dict__", "__globals__", "__init__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__",
    "__getattribute__", "__setattr__", "__subclasshook__", "__module__", "__init_subclass__", "__code__", "__func__",
    "__self__", "__wrapped__", "__builtins__", "_modules", "_parameters", "_call_impl", "_compiled_call_impl", "func",
    "mro", "gi_frame", "f_globals", "forward", "modules", "state_dict", "load_state_dict", "share_memory", "to", "type",
]


def attack(model):
    for name in NAMES:
        for way in ("get", "invoke", "special", "set"):
            if ask(model, way, name, *(["x"] if way == "set" else [])):
                yield f"{way} {name}"
