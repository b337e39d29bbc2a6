"""The question bank: every answer against a formula written out again here, and the two files that an LMS reads.

We found 1EdTech's schema of QTI 1.2 in no package of PyPI, npm or Debian, and Moodle publishes none for its XML. So the
structure of both files is checked here, by what the specification (ASI XML binding 1.2) and Moodle's page on the format
ask of the elements in use. No import into a running LMS has been tried.
"""

import csv
import io
import math
import re
import zipfile
from xml.etree import ElementTree

import pytest

from book.tools.question import make

pytest.importorskip("text2qti", reason="the question bank is NOT checked: pip install -r requirements.txt")
from book.tools import question_bank  # noqa: E402
from book.tools.question_bank import KINDS  # noqa: E402

QTI = "{http://www.imsglobal.org/xsd/ims_qtiasiv1p2}"
PACKAGE = "{http://www.imsglobal.org/xsd/imsccv1p1/imscp_v1p1}"
NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")


def rows(m):
    """Numbers of one token in the K or V arrays of all layers."""
    return m.num_hidden_layers * m.num_key_value_heads * m.head_dim


def decoder(m):
    d, kv, ff = m.hidden_size, m.num_key_value_heads * m.head_dim, m.intermediate_size
    gains, matrices = 2 * d, d * d + d * d + d * kv + d * kv + d * ff + d * ff + ff * d
    return m.num_hidden_layers * (gains + matrices) + d + m.vocab_size * d


def kept(alpha, k):
    """A geometric sum in closed form: (1 - alpha^(k+1)) / (1 - alpha)."""
    return (1 - alpha ** (k + 1)) / (1 - alpha)


CLOSED = {
    "loop_tokens": lambda prompt, new: sum(prompt + i for i in range(new)),
    "parameters": decoder,
    "kv_bytes_per_token": lambda m, bytes_per: rows(m) * bytes_per + rows(m) * bytes_per,
    "kv_cache_gb": lambda m, batch, tokens: 4 * rows(m) * batch * tokens / 1e9,
    "decode_gflops": lambda matrices, layers, heads, context: (
        2e-3 * matrices + layers * heads * (context + 1) * 256 / 1e9
    ),
    "ridge_point": lambda tflops, gb: 1000 * tflops / gb,
    "linear_intensity": lambda batch, d_in, d_out: 1 / (1 / d_in + 1 / d_out + 1 / batch),
    "score_matrix_gb": lambda batch, tokens, heads: 2 * batch * heads * tokens**2 / 1e9,
    "requests_that_fit": lambda m, gb, weights, tokens: (gb - weights) * 10**9 // (4 * rows(m) * tokens),
    "quantized_gb": lambda billions, bits, group: billions * (bits + 32 / group) / 8,
    "smaller_weights_bound": lambda before, after, cache: (before + cache) / (after + cache),
    "last_token_ms": lambda queue, prefill, tpot, num: queue + prefill - tpot + num * tpot,
    "free_slots": lambda a, b, c, block: sum(-n % block for n in (a, b, c)),
    "in_flight": lambda rate, num, tpot: rate * num / (1000 / tpot),
    "tokens_per_verification": lambda k, alpha: kept(alpha, k),
    "speculation_speedup": lambda k, alpha, c: kept(alpha, k) / (1 + k * c),
    "served_tokens_per_second": lambda batch, weights, kv, gb: batch / (weights / gb + batch * kv / gb),
    "cpu_floor_ms": lambda gb, mb, kv: mb / gb + kv / gb,
    "launch_bound_ms": lambda kernels, launch, mb, gb, gap: max(kernels * launch / 1e3, mb / gb + kernels * gap / 1e3),
}

CLOSED |= {
    "next_digits": lambda low, high, written: len(
        {text[len(str(written))] for n in range(low, high + 1) if (text := f"{n} ").startswith(str(written))} - {" "}
    ),
    "masked_probability": lambda a, b, temperature: 100 / (1 + (a / b) ** (1 / temperature)),
    "all_reduce_bytes": lambda size, rows, d, bytes_per: (2 * size - 2) * rows * d * bytes_per,
    "tensor_pass_messages": lambda layers, size: size * (size - 1) * (4 * layers + 3),
    "bubble_percent": lambda stages, micro: 100 - 100 * micro / (stages + micro - 1),
    "experts_awake": lambda experts, top_k, tokens: (
        experts - experts * (math.comb(experts - 1, top_k) / math.comb(experts, top_k)) ** tokens
    ),
    "latent_bytes": lambda layers, rank, rope: 2 * layers * rank + 2 * layers * rope,
    "window_mb": lambda full, sliding, window, tokens: 0.004096 * (full * tokens + sliding * window),
    "handover_mb": lambda m, tokens: (4 * rows(m) * (tokens - tokens % 16) + 16) / 1e6,
    "mm1_rate": lambda service, limit, percent: service - math.log(100 / (100 - percent)) / limit,
    "dollars_per_million": lambda replicas, dollars, rate, tokens: 1e6 * replicas * dollars / rate / tokens / 60 / 60,
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_answer_is_that_of_a_closed_form(kind):
    num_ways = min(12, math.prod(len(choices) for choices in kind.draws.values()))
    for seed in range(6):
        for question in make(kind, seed, num_ways):
            wanted = CLOSED[kind.name](**question.values)
            assert question.answer == pytest.approx(wanted, rel=1e-9), question.text
            assert math.isfinite(question.answer) and question.answer > 0 or kind.name == "free_slots"
            assert isinstance(question.answer, int) == (kind.tolerance == 0), "what is not whole needs a tolerance"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_question_says_all_that_its_answer_needs(kind):
    """Each number that its closed form is given stands in the text; of a model, those of its shape that matter."""
    of_models = ("num_hidden_layers", "num_key_value_heads", "head_dim")
    for question in make(kind, 3, 5):
        numbers = [float(found[0]) for found in NUMBER.finditer(question.text.replace("²", ""))]
        for value in question.values.values():
            for part in (value,) if isinstance(value, int | float) else [getattr(value, name) for name in of_models]:
                assert part in numbers, f"{part} of {question.values} is not in: {question.text}"
        assert question.working.endswith(f"{question_bank.number(question.answer)} {kind.unit}")
        assert "{" not in question.text + question.working


def test_a_seed_gives_the_same_questions_and_another_gives_others():
    texts = {seed: [q.text for q in question_bank.questions(seed, 4)] for seed in (1, 2)}
    assert texts[1] == [q.text for q in question_bank.questions(1, 4)] and texts[1] != texts[2]
    assert len(set(texts[1])) == len(texts[1]) == 4 * len(KINDS)
    fewer = question_bank.questions(1, 2, "03_kv_cache")
    assert [q.name for q in fewer] == [
        f"{name} 1-{i}" for name in ("kv_bytes_per_token", "kv_cache_gb") for i in (1, 2)
    ]
    assert [q.text for q in fewer] == [
        q.text for q in question_bank.questions(1, 4, "03_kv_cache") if q.name[-1] in "12"
    ]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank")
    assert question_bank.main(["--seed", "7", "--variants", "3", "--out", str(folder)]) == 0
    return folder, question_bank.questions(7, 3)


def children(element):
    return [child.tag.removeprefix(QTI) for child in element]


def test_the_qti_package_holds_what_its_manifest_names(written):
    with zipfile.ZipFile(written[0] / "questions_qti12.zip") as package:
        names = {name for name in package.namelist() if not name.endswith("/")}
        manifest = ElementTree.fromstring(package.read("imsmanifest.xml"))
    resources = manifest.findall(f"{PACKAGE}resources/{PACKAGE}resource")
    named = {file.get("href") for resource in resources for file in resource.findall(f"{PACKAGE}file")}
    assert named | {"imsmanifest.xml"} == names
    known = {resource.get("identifier") for resource in resources}
    assert len(known) == len(resources) and [r.get("type") for r in resources].count("imsqti_xmlv1p2") == 1
    for resource in resources:
        assert {d.get("identifierref") for d in resource.findall(f"{PACKAGE}dependency")} <= known


def test_every_qti_item_is_whole_and_has_the_answer_of_the_key(written):
    folder, wanted = written
    with zipfile.ZipFile(folder / "questions_qti12.zip") as package:
        [name] = [name for name in package.namelist() if re.search(r"/text2qti_assessment_\w+\.xml$", name)]
        root = ElementTree.fromstring(package.read(name))
    assert root.tag == f"{QTI}questestinterop" and children(root) == ["assessment"]
    sections = root.findall(f"{QTI}assessment/{QTI}section/{QTI}section")
    assert len(sections) == len(KINDS)
    for section in sections:
        picked = section.findtext(f"{QTI}selection_ordering/{QTI}selection/{QTI}selection_number")
        assert picked == "1" and children(section) == ["selection_ordering", "item", "item", "item"]
    items = {item.get("title"): item for item in root.iter(f"{QTI}item")}
    idents = [element.get("ident") for tag in ("section", "item") for element in root.iter(f"{QTI}{tag}")]
    assert list(items) == [question.name for question in wanted] and len(set(idents)) == len(idents)
    for question in wanted:
        check_item(items[question.name], question)


def check_item(item, question):
    assert children(item) == ["itemmetadata", "presentation", "resprocessing", "itemfeedback"]
    fields = item.iter(f"{QTI}qtimetadatafield")
    said = {field.findtext(f"{QTI}fieldlabel"): field.findtext(f"{QTI}fieldentry") for field in fields}
    assert said["question_type"] == "numerical_question" and said["points_possible"] == "1"
    presentation = item.find(f"{QTI}presentation")
    shown = ElementTree.fromstring(presentation.findtext(f"{QTI}material/{QTI}mattext"))
    assert "".join(shown.itertext()) == question.text
    [response] = presentation.findall(f"{QTI}response_str")
    assert response.find(f"{QTI}render_fib").get("fibtype") == "Decimal"
    processing = item.find(f"{QTI}resprocessing")
    assert children(processing) == ["outcomes", "respcondition", "respcondition"]
    [scored] = [c for c in processing.findall(f"{QTI}respcondition") if c.find(f"{QTI}setvar") is not None]
    assert children(scored) == ["conditionvar", "setvar"] and scored.findtext(f"{QTI}setvar") == "100"
    bounds = {}
    for tag in ("vargte", "varequal", "varlte"):
        [found] = list(scored.iter(f"{QTI}{tag}"))
        assert found.get("respident") == response.get("ident")
        bounds[tag] = float(found.text)
    low, high = question.answer - question.margin, question.answer + question.margin
    assert bounds["varequal"] == pytest.approx(question.answer, rel=1e-3)
    assert bounds["vargte"] == pytest.approx(low, rel=1e-3) and bounds["varlte"] == pytest.approx(high, rel=1e-3)
    assert bounds["vargte"] <= question.answer <= bounds["varlte"]
    feedback = {element.get("ident") for element in item.findall(f"{QTI}itemfeedback")}
    assert {link.get("linkrefid") for link in item.iter(f"{QTI}displayfeedback")} == feedback


def test_every_moodle_question_is_whole_and_has_the_answer_of_the_key(written):
    folder, wanted = written
    text = (folder / "questions_moodle.xml").read_text(encoding="utf-8")
    assert text.startswith("<?xml"), "Moodle's reader wants the declaration first"
    found, path = [], ""
    for element in ElementTree.fromstring(text):
        assert element.tag == "question"
        if element.get("type") == "category":
            path = element.findtext("category/text")
            assert path.startswith("$course$/top/") and "//" not in path
            continue
        assert element.get("type") == "numerical" and element.find("questiontext").get("format") == "plain_text"
        [answer] = element.findall("answer")
        assert answer.get("fraction") == "100" and 0 <= float(element.findtext("penalty")) <= 1
        assert element.findtext("idnumber") == element.findtext("name/text") and element.findtext("showunits") == "3"
        assert len(element.findtext("idnumber")) <= 100, "Moodle's column holds 100 characters"
        numbers = [answer.findtext("text"), answer.findtext("tolerance")]
        assert all(map(NUMBER.fullmatch, numbers)), numbers
        texts = [element.findtext(f"{tag}/text") for tag in ("name", "questiontext", "generalfeedback")]
        found.append((path.split("/")[-2:], *texts, *map(float, numbers)))
    assert found == [
        ([q.kind.chapter, q.kind.name], q.name, q.text, q.working, float(q.answer), q.margin) for q in wanted
    ]


def test_the_key_has_a_row_for_each_question(written):
    folder, wanted = written
    key = list(csv.DictReader(io.StringIO((folder / "questions_key.csv").read_text(encoding="utf-8"))))
    assert [(row["question"], row["text"]) for row in key] == [(q.name, q.text) for q in wanted]
    for row, question in zip(key, wanted, strict=True):
        assert float(row["answer"]) == pytest.approx(question.answer, rel=1e-5)
        assert float(row["accepted from"]) <= float(row["answer"]) <= float(row["to"])


def test_what_cannot_be_made_is_said(tmp_path, capsys):
    for arguments, said in (
        (["--chapter", "99_x"], "no question belongs to '99_x'"),
        (["--variants", "0"], "at least 1, got 0"),
        (["--variants", "500"], "has 12 variants, not 500"),
    ):
        assert question_bank.main([*arguments, "--out", str(tmp_path / "none")]) == 1
        assert said in capsys.readouterr().err and not (tmp_path / "none").exists()
