"""Hands the tester, by name, what starts programs or opens files, under modules that only import it.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
PLACES = [
    "mini_engine.files.fetch:subprocess.Popen",
    "mini_engine.files.fetch:os.system",
    "mini_engine.files.fetch:shutil.rmtree",
    "mini_engine.files.fetch:urllib.request.urlopen",
    "mini_engine.weights:Path",
    "json:codecs.open",
    "random:_os.system",
    "io:FileIO",
    "io:open",
    "numpy:os.system",
    "subprocess:Popen",
    "os:system",
    "socket:socket",
    "pathlib:Path",
    "ctypes:CDLL",
    "shutil:rmtree",
]


def attack(model):
    for module, name in (place.split(":") for place in PLACES):
        for coded in (["name", module, name], ["list", None, [["name", module, name]]], ["enum", module, name, "x"]):
            if accepts(model, coded):
                yield f"{module} {name}"
