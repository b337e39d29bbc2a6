"""Changes the weights of a lent model, so that the test would compute with them as well.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
def attack(model):
    weight = model.lm_head.weight
    before = float(weight.abs().sum())
    weight.zero_()
    if float(model.lm_head.weight.abs().sum()) != before:
        yield "the weights"
    for name in ("embedding", "layers", "final_norm", "parameters", "buffers", "state_dict", "load_state_dict", "half"):
        if ask(model, "get", name) or ask(model, "set", name, 0):
            yield name
    for name, value in (("dtype", 0), ("lm_head", 0), ("config", 0)):
        if ask(model, "set", name, model):
            yield f"set {name}"
