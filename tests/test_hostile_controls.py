"""Attacks on the tester's side of the connection, against a tester with one defence taken away: each must get through.

Else a case of the hostile bank could be as wanted because its attack does nothing. No Jupyter: a pair of processes.
These have no control: headers_that_are_too_much, connections_without_end and half_a_frame_and_silence look for a tester
that hangs or dies, which no single line prevents; checks_with_zeroed_arrays and ablation_changes_the_outputs would need
another test, one that compares with what it gave away.
"""

import shutil

import pytest

from autograder.assignment.script import read_script
from autograder.auditor import pairs
from autograder.auditor.children import score_all
from autograder.grading import course
from autograder.hostile import bank
from autograder.outside import containers, decode, kinds, lending, names, peer, policy, remote, tester
from autograder.sandbox import confine
from autograder.scoring import Topic

CASES = {case.name: case for case in bank.read_bank()}
PLACES = ("FILE", "FOLDER", "HOME", "COURSE", "CLASS", "DATABASE", "MARK", "SOCKET", "ABSTRACT")
topics = {}


def lend_everything(patch):
    patch.setattr(lending, "answers_of", lambda value: frozenset(dir(value)) | set(getattr(value, "__dict__", ())))
    patch.setattr(policy.TesterPeer, "check", lambda self, value, name: None)
    patch.setattr(policy.TesterPeer, "get", peer.Peer.get)
    patch.setattr(policy.TesterPeer, "set", peer.Peer.set)
    patch.setattr(policy.TesterHub, "specials", remote.Hub.specials)


def do_every_operation(patch):
    lend_everything(patch)
    known = peer.Peer.perform
    patch.setattr(peer.Peer, "perform", lambda self, frame: frame["op"] != "special" and known(self, frame))


def take_every_class(patch):
    patch.setattr(names, "is_harmless", lambda found: True)


def take_every_field(patch):
    patch.setattr(kinds, "dataclass_like", lambda *layout: type("T", (), {}))
    patch.setattr(containers, "check_field", lambda cls, name: None)


def take_every_layout(patch):
    known = decode.Decoder.array
    patch.setitem(
        decode.DECODERS, "array", lambda self, depth, key, *more: key != 1001 and known(self, depth, key, *more)
    )


def answer_for_every_number(patch):
    patch.setattr(remote.Hub, "original", lambda self, number: self.lent[int(number)][0])


def take_back_everything(patch):
    patch.setattr(remote.Hub, "take_back", lambda self, released: None)


CONTROLS = {
    "ablation_from_the_engines_log": lend_everything,
    "checks_from_the_engines_own_error": lend_everything,
    "ttft_from_the_models_script": lend_everything,
    "ttft_by_forged_calls": lend_everything,
    "hooks_on_a_lent_model": lend_everything,
    "operators_on_a_lent_model": do_every_operation,
    "private_names_of_a_lent_model": do_every_operation,
    "zeroes_the_weights_of_a_lent_model": lend_everything,
    "factories_of_a_dict": take_every_class,
    "names_of_callers": take_every_class,
    "names_of_programs": take_every_class,
    "names_of_torch": take_every_class,
    "records_with_code": take_every_field,
    "shapes_of_arrays": take_every_layout,
    "numbers_of_objects": answer_for_every_number,
    "releases_what_is_not_its_own": take_back_everything,
}


def attack(case, folder, seconds=10):
    """The Run of a case's own answers."""
    if case.topic not in topics:
        topics[case.topic] = Topic(case.topic, read_script(course.ROOT / "solutions" / case.topic / f"{case.topic}.py"))
    facts = {f"HOST_{name}": str(folder) for name in PLACES}
    if case.options["lent"] == "yes":
        cells = [bank.fill_in(source, facts) for header, source in case.cells if not header]
        answers = {"generate": "\n".join([course.reference_answers(case.topic)["generate"], bank.LENT, *cells])}
    else:
        answers = {header: bank.fill_in(source, facts) for header, source in case.cells}
    candidate = ("key", answers, list(answers), seconds, False)
    [(_, run)] = score_all(topics[case.topic], 1, [candidate], start=pairs.Pair)
    return run


def gained(name, run):
    """Whether an attack won points, or reached what it says; test_generate is passed by the reference around it."""
    return "REACHED" in str(run.reasons) if CASES[name].options["lent"] == "yes" else run.total > 0


@pytest.mark.parametrize("name", CONTROLS)
def test_an_attack_works_where_its_defence_is_away_and_not_where_it_is_there(name, monkeypatch, tmp_path):
    run = attack(CASES[name], tmp_path)
    assert not gained(name, run), run.reasons
    CONTROLS[name](monkeypatch)
    run = attack(CASES[name], tmp_path)
    assert gained(name, run), f"this attack does nothing anyway: {run.reasons}"


@pytest.mark.skipif(bool(confine.objection()), reason=confine.objection())
@pytest.mark.skipif(not shutil.which("g++"), reason="torch compiles with g++")
@pytest.mark.parametrize("confined", [True, False])
def test_the_attack_by_a_compiler_is_real(monkeypatch, confined, tmp_path):
    """With everything lent a shell runs on the host; the confinement alone holds it as well. 20 s: torch compiles."""
    lend_everything(monkeypatch)
    monkeypatch.setattr(tester, "MEMORY_BYTES", 64 << 30)
    if not confined:
        monkeypatch.setattr(confine, "objection", lambda: "off")
    attack(CASES["compiles_a_lent_model"], tmp_path, seconds=100)
    assert (tmp_path / "compiled").exists() is not confined
