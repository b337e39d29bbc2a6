"""Tests that need a jail of one kind."""

import pytest

from autograder.sandbox import modes


def need_jail(mode):
    """Skips, saying why, where this machine cannot make such a jail."""
    why = modes.objection(mode)
    if why:
        pytest.skip(f"the {mode} jail is NOT tested here: {why}")
