"""Gives a lent model a cache that calls the model again and again, answers with itself, and changes what it is given.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
class Cache:
    length = 0

    def __init__(self, model):
        self.model = model

    def positions(self, count):
        return self.model(torch.tensor([[1, 2]]), self)

    def update(self, layer, k, v):
        return self, self

    def __getattr__(self, name):
        return self


def attack(model):
    try:
        model(torch.tensor([[1, 2]]), Cache(model))
    except (RecursionError, TypeError, AttributeError, ValueError, RuntimeError):
        return
    yield "an answer of a model whose cache is no cache"
