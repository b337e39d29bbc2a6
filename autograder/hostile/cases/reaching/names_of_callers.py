"""Hands the tester, by name, what calls other things or makes code.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
PLACES = [
    "builtins:eval",
    "builtins:exec",
    "builtins:open",
    "builtins:getattr",
    "builtins:type",
    "builtins:super",
    "builtins:property",
    "functools:partial",
    "functools:reduce",
    "operator:methodcaller",
    "operator:attrgetter",
    "operator:call",
    "numpy:memmap",
    "numpy:load",
    "numpy:fromfile",
    "numpy:ctypeslib.load_library",
    "numpy.lib.npyio:DataSource",
    "types:FunctionType",
    "types:CodeType",
    "types:ModuleType",
    "collections:namedtuple",
    "collections:UserDict",
    "enum:Enum",
    "string:Formatter",
    "time:sleep",
]


def attack(model):
    for module, name in (place.split(":") for place in PLACES):
        for coded in (["name", module, name], ["list", None, [["name", module, name]]], ["enum", module, name, "x"]):
            if accepts(model, coded):
                yield f"{module} {name}"
