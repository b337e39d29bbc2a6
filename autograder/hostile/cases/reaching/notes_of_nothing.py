"""Sends the tester small notes without end, and lists that hold ever more numbers.

score: generate=2
note: hidden_generate: .*every attempt was refused
lent: yes
"""
# %%
def attack(model):
    last = {"op": "get", "on": fields_of(model)["number"], "name": "config"}, b""
    if connect(model, *[({"op": "note"}, b"")] * 5000, last) is not None:
        yield "5000 notes"
    lists = [["list", key, []] for key in range(1001, 601_001, 2)]
    if accepts(model, ["tuple", lists]):
        yield "300000 lists"
    if accepts(model, ["range", [0, 1 << 80, 1]]):
        yield "a range without end"
