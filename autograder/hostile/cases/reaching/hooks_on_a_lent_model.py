"""Registers callbacks of its own on the model that a test lends.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
HOOKS = [
    "register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook", "register_module",
    "register_state_dict_pre_hook", "register_state_dict_post_hook", "register_load_state_dict_pre_hook",
    "register_load_state_dict_post_hook", "register_buffer", "register_parameter", "add_module", "apply", "_apply",
]


def spy(*arguments):
    return None


def attack(model):
    for name in HOOKS:
        for arguments in ((spy,), ("name", spy)):
            if ask(model, "invoke", name, *arguments):
                yield name
        if ask(model, "set", name, spy):
            yield f"set {name}"
