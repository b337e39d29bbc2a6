"""The figure fleet-router sends every trace where the engine's router sends it."""

import random

from test_figures import figure_results, pytestmark  # noqa: F401  (skips this file too where node is missing)

from book._ext.figure_data import FIGURE_DATA
from mini_engine.fleet.router import POLICIES, Router
from mini_engine.fleet.traces import KINDS, make_trace, route_trace


def test_the_figure_routes_as_the_router():
    data, rng, states = FIGURE_DATA["traces"](), random.Random(18), []
    for policy in POLICIES:
        for kind in KINDS:
            for _ in range(8):
                weight, room = rng.choice((0, 1, 4, 16, 1000)), rng.choice((20, 50, 150, 4000))
                state = {"trace": kind, "policy": policy, "weight": weight, "room": room}
                states.append(state | {"replicas": rng.randint(1, 8)})
    for state, got in zip(states, figure_results("fleet-router", states, {"traces": data}), strict=True):
        blocks = [Router().blocks_of(turn.prompt) for turn in make_trace(state["trace"])]
        want = route_trace(blocks, state["replicas"], state["policy"], state["weight"], state["room"])
        assert got["computed"] == want["computed"] and got["found"] == want["found"], state
        assert got["total"] == sum(map(len, blocks)) and sum(got["sent"]) == len(blocks)
        assert got["share"] == sum(want["found"]) / got["total"]
