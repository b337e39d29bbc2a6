"""Has the compiler of a lent model write its traces into a folder of the host.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
def attack(model):
    for way in ("invoke", "get"):
        if ask(model, way, "compile"):
            yield way
    try:
        model.compile(options={"trace.enabled": True, "trace.debug_dir": HOST_FOLDER + "/traces"})
    except AttributeError:
        return
    model(torch.tensor([[1, 2, 3]]))
    yield "compile"
