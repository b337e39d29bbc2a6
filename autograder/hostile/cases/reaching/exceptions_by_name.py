"""Raises in the tester exceptions named after classes that do something when they are made.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
PLACES = ["mini_engine.files.fetch.urllib.error.HTTPError", "mini_engine.files.fetch.subprocess.CalledProcessError", "subprocess.Popen", "builtins.open"]


def attack(model):
    import sys

    errors = sys.modules["course_agent"].errors
    stock = errors.coded
    errors.coded = lambda hub, error: [None, "KeyError", [*PLACES, "builtins.SystemExit"], ["a", "b"]]
    cache = Cache(model.config, 4)
    cache.positions = lambda count: 1 / 0
    try:
        model(torch.tensor([[1, 2]]), Liar())
    except BaseException as error:
        if type(error).__name__ not in ("KeyError", "Exception"):
            yield type(error).__name__
    finally:
        errors.coded = stock


class Liar:
    length = 0

    def positions(self, count):
        raise ValueError("forged")
