"""Asks for objects of the tester's by numbers that it was never given.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
def attack(model):
    own = fields_of(model)["number"]
    for number in [*range(-3, 400), True, 1.0, "1", None, [own], {"on": own}, 10**30]:
        if number == own and type(number) is int:
            continue
        for question in ({"op": "get", "name": "config"}, {"op": "call"}, {"op": "get", "name": "__dict__"}):
            if connect(model, ({**question, "on": number}, b"")) is not None:
                yield f"{number} {question}"
