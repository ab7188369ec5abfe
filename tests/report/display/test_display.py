"""What notebooks show of a run: the same as its report, and no name more than text."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from PIL import Image

from finetune.errors import RunError
from finetune.report.display.charts import run_charts
from finetune.report.display.confusion import run_confusion
from finetune.report.display.fragment import table
from finetune.report.display.mistakes import run_mistakes
from finetune.report.display.scores import scores
from finetune.report.thumbnails import Thumbnail
from tests.report.evidences import make_evidence, make_predictions
from tests.report.pages import Page
from tests.report.test_check_page import HOSTILE, UNSAFE, outline
from tests.report.test_run_page import everything

CLASSES = ("cat", "dog", "owl")


@pytest.fixture(scope="module")
def evidence():
    return make_evidence(make_predictions(90, 30, CLASSES), CLASSES, words="tune")


def shown(evidence) -> list[str]:
    """All fragments."""
    return [
        run_confusion(evidence, normalise=False)._repr_html_(),
        run_confusion(evidence, normalise=True)._repr_html_(),
        run_charts(evidence)._repr_html_(),
        run_mistakes(evidence, 5)._repr_html_(),
        scores(evidence.name, evidence.metrics),
        table(evidence.name, ("a", "b"), [(evidence.answers[0].label, "1")]),
    ]


def test_a_fragment_brings_its_own_style_and_touches_nothing_else(evidence) -> None:
    for html in shown(evidence):
        page = Page(html)
        assert page.elements[0] == ("div", {"class": "finetune"})
        assert not {"script", "link", "iframe", "html", "body"} & {tag for tag, _ in page.elements}
        assert not [name for _, a in page.elements for name in a if name.startswith("on")]
        assert all(src.startswith("data:image/webp") for src in page.values("img", "src"))
        (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
        selectors = re.findall(r"([^{}]+)\{[^{}]*\}", re.sub(r"@media[^{]*\{", "", style))
        assert len(selectors) > 40
        for selector in selectors:
            assert all(".finetune" in each for each in selector.strip(" }\n").split(","))


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=HOSTILE, label=HOSTILE.filter(str.strip), path=HOSTILE)
@example("</style><script>", "</title><img src=x onerror=alert(1)>", "\"'><svg/onload=alert(1)>")
@example("{{7*7}}", "\udcff\u202egpj.exe", "</svg><script>alert(1)</script>")
def test_names_are_never_more_than_text(name: str, label: str, path: str) -> None:
    usual, hostile = shown(everything()), everything(label, path, name)
    for html, wanted in zip(shown(hostile), usual, strict=True):
        assert not UNSAFE.search(html)
        assert html.encode()
        assert outline(Page(html)) == outline(Page(wanted))
    for display in (run_confusion(hostile, normalise=False), run_charts(hostile)):
        assert not UNSAFE.search(repr(display))
    assert not UNSAFE.search(repr(run_mistakes(hostile, 5)))


def test_the_matrix_says_what_is_taken_for_what(evidence) -> None:
    matrix = run_confusion(evidence, normalise=False)
    assert repr(matrix).splitlines() == [
        "90 test images, 3 classes, 60 right",
        "  10 × cat taken for dog",
        "  10 × dog taken for owl",
        "  10 × owl taken for cat",
    ]
    assert matrix.frame().loc["cat", "dog"] == 10
    assert matrix.frame().to_numpy().sum() == 90
    shares = run_confusion(evidence, normalise=True)
    assert shares.frame().sum(axis=1).tolist() == pytest.approx([1, 1, 1])
    text = Page(shares._repr_html_()).text
    assert "33 %" in text
    assert "67 %" in text


def test_many_classes_are_cut_to_what_can_be_taken_in() -> None:
    classes = tuple(f"class-{n:03}" for n in range(40))
    matrix = run_confusion(
        make_evidence(make_predictions(40, 20, classes), classes), normalise=False
    )
    assert "Shown are the 30 classes that are confused most, of 40." in matrix._repr_html_()
    assert "and 12 other mistakes" in repr(matrix)
    assert matrix.frame().shape == (40, 40)


def test_curves_have_their_points(evidence) -> None:
    charts = run_charts(evidence)
    frame = charts.frame()
    own = frame[frame["class"] == ""]
    assert set(own["chart"]) == {"Phase tune", "Reliability", "Risk and coverage"}
    assert set(frame["class"]) == {"", *CLASSES}
    assert repr(charts).count("\n") == 2
    empty = make_evidence(make_predictions(9, 0, CLASSES, "val"), CLASSES, split="val")
    empty.metrics["split"] = "test"
    assert "no image was scored" in repr(run_charts(replace(empty, log=[])))


def test_the_worst_are_as_many_as_asked_for(evidence) -> None:
    mistakes = run_mistakes(evidence, 4)
    assert mistakes.caption == "30 mistakes; the 4 that it was surest of"
    assert mistakes._repr_html_().count("<figure>") == 4
    assert "80.0% dog, is cat: test/0.jpg" in repr(mistakes)
    assert list(mistakes.frame()["own"]) == pytest.approx([0.1] * 4)
    assert run_mistakes(evidence, 99).caption == "30 mistakes"
    with pytest.raises(RunError, match="0 pictures can't be shown"):
        run_mistakes(evidence, 0)
    none = run_mistakes(make_evidence(make_predictions(9, 0, CLASSES), CLASSES), 4)
    assert none.frame().empty
    assert repr(none) == "0 mistakes"


def test_figures_are_drawn_without_pyplot_and_names_are_no_mathematics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    evidence = everything("$\\frac{_x^", "p/", words="$\\x{")
    picture = io.BytesIO()
    Image.new("RGB", (12, 9)).save(picture, "WEBP")
    made = Thumbnail(picture.getvalue(), 12, 9)
    paths = [answer.path for answer in evidence.answers]
    evidence = replace(evidence, thumbnails=dict.fromkeys(paths[:3], made))
    for display in (
        run_confusion(evidence, normalise=True),
        run_charts(evidence),
        run_mistakes(evidence, 5),
    ):
        file = io.BytesIO()
        display.figure().savefig(file, dpi=30)
        assert Image.open(file).width > 60


def test_without_matplotlib_it_is_told_how_to_install_it(
    evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(RunError, match=r'pip install "finetune-vision\[notebook\]"'):
        run_charts(evidence).figure()
    assert run_charts(evidence)._repr_html_()
