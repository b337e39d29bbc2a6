"""Hands the tester, by name, what in torch loads, saves, compiles or starts processes.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
PLACES = [
    "torch:load",
    "torch:save",
    "torch:compile",
    "torch.hub:load",
    "torch.jit:load",
    "torch.jit:script",
    "torch.jit:save",
    "torch.package:PackageImporter",
    "torch.utils.cpp_extension:load_inline",
    "torch.multiprocessing:spawn",
    "torch.multiprocessing:Process",
    "torch.serialization:load",
    "torch.classes:load_library",
    "torch.ops:load_library",
    "torch:FileTensor",
    "torch.utils.data:DataLoader",
    "torch:nn.Module",
    "torch:from_file",
    "torch:UntypedStorage.from_file",
]


def attack(model):
    for module, name in (place.split(":") for place in PLACES):
        for coded in (["name", module, name], ["list", None, [["name", module, name]]], ["enum", module, name, "x"]):
            if accepts(model, coded):
                yield f"{module} {name}"
