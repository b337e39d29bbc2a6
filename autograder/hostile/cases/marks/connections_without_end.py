"""Opens connections to the tester until it has no more room, then answers for the agent over one of them.

answers: all
score: all generate=2
note: hidden_generate: (?!$).{10}
lent: yes
"""
# %%
def attack(model):
    peers = []
    try:
        for _ in range(300):
            peers.append(fields_of(model)["hub"].connect())
        for peer in peers:
            peer.channel.send({"op": "answer", "v": ["module", "numpy"]}, [])
    except Exception:
        pass
    yield from []
