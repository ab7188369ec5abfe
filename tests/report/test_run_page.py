from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import timm
from hypothesis import HealthCheck, example, given, settings
from PIL import Image

import finetune
from finetune.api import report
from finetune.console import Silent
from finetune.data.manifest import Item
from finetune.errors import RunError
from finetune.evaluation.table import Prediction, PredictionTable
from finetune.report.answers import MOST_DOUBTS, MOST_SHOWN, Answer, answers
from finetune.report.run_page import MOST_BYTES, run_page
from finetune.report.thumbnails import MOST_BYTES as OF_A_THUMBNAIL
from finetune.report.thumbnails import thumbnail
from finetune.run import RunDirectory
from tests.report.evidences import make_evidence, make_predictions
from tests.report.pages import Page
from tests.report.test_check_page import HOSTILE, UNSAFE, outline


def everything(label: str = "cat", path: str = "cat/", name: str = "photos-1", words: str = "said"):
    """Evidence with all sections, and names from the data wherever one can stand."""
    classes = (label, f"{label}-2", f"{label}-3")
    bad = Item(f"{path}bad", label, status="bad", reason=words)
    leak = Item(f"{path}leak", label, "test", copy_of=f"{path}1")
    return make_evidence(
        make_predictions(90, 30, classes, stem=path), classes,
        val=[*make_predictions(90, 0, classes, "val", path), Prediction("b", "val", error=words)],
        more=[bad, leak], name=name, words=words, judged=120,
        doubted=[Answer(f"{path}doubt", label, classes[1], 0.9, 0.05)],
        leaked={"n": 1, "accuracy_without": {"value": 0.7, "low": 0.6, "high": 0.8}},
    )  # fmt: skip


def test_the_first_screen_has_question_answer_and_worries() -> None:
    page = Page(run_page(everything()))
    assert page.headings[:3] == ["Report of photos-1", "Worry about this", "What was asked"]
    first = page.text[: page.text.index("What was asked")]
    assert "Accuracy on 90 test images 66.7 % [56.4–75.5]" in first
    assert "Always the commonest class 33.3 %" in first
    assert "1 test image shows what stands in an earlier part too" in first
    assert "Recipe lp_ft" in page.text


def test_a_cell_of_the_matrix_names_the_list_of_its_images() -> None:
    html = run_page(everything())
    page = Page(html)
    cells = page.values("button", "data-cell")
    assert len(cells) == len(set(cells)) == 6
    assert sorted(cells) == sorted(page.values("details", "id"))
    labels = dict(zip(cells, page.values("button", "aria-label"), strict=True))
    for cell, label in labels.items():
        (inside,) = re.findall(rf'<details id="{cell}">(.*?)</details>', html, re.DOTALL)
        shown = Page(inside)
        assert label.startswith(f"{len(shown.values('img', 'src'))} images of ")
        of, _, taken = (
            label.partition(" of ")[2].replace(" recognised", "").partition(" taken for ")
        )
        wanted = f"{of} taken for {taken}" if taken else f"{of}, recognised"
        assert shown.text.startswith(wanted)


def test_a_page_of_a_perfect_run_has_nothing_to_worry_about() -> None:
    classes = ("cat", "dog")
    evidence = make_evidence(make_predictions(400, 0, classes), classes, unsure={"ece": "x"})
    page = Page(run_page(evidence))
    assert page.headings[1] == "Nothing stands out"
    assert "There is none." in page.text


def test_the_page_hangs_together() -> None:
    page = Page(run_page(everything()))
    identities = [a["id"] for _, a in page.elements if "id" in a]
    assert len(set(identities)) == len(identities)
    assert {href.removeprefix("#") for href in page.values("a", "href")} <= set(identities)
    labelled = [a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a]
    assert set(labelled) <= set(identities)
    assert all(page.values("img", "alt"))
    levels = [int(t[1]) for t, _ in page.elements if t in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_nothing_is_loaded_and_only_our_script_runs() -> None:
    html = run_page(everything())
    page = Page(html)
    addresses = [a[k] or "" for _, a in page.elements for k in ("src", "href", "data") if k in a]
    assert {urlsplit(address).scheme for address in addresses} == {"data", ""}
    assert not {"link", "iframe", "object", "base"} & {tag for tag, _ in page.elements}
    assert not [name for _, a in page.elements for name in a if name.startswith("on")]
    (script,) = re.findall("<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = page.values("meta", "content")[0]
    assert f"script-src 'sha256-{digest}'" in policy.replace("&#39;", "'")


# No backtick: phases are called by some of them, whose names can't hold one.
WORDS = HOSTILE.filter(str.strip).map(lambda text: text.replace("`", "'"))


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=HOSTILE, label=HOSTILE.filter(str.strip), path=HOSTILE, words=WORDS)
@example("<script>", "</title><img src=x onerror=alert(1)>", "\"'><svg/onload=alert(1)>", "{{7*7}}")
@example("", "</script><script>alert(1)</script>", "\udcff\u202egpj.exe", "</style>")
@example("x" * 250, "x" * 250, "/".join(["x" * 250] * 16), "x" * 250)
def test_names_are_never_more_than_text(name: str, label: str, path: str, words: str) -> None:
    html = run_page(everything(label, path, name, words.replace("\n", " ")))
    assert not UNSAFE.search(html)
    assert html.encode()
    assert outline(Page(html)) == outline(Page(run_page(everything())))


def full(path: str) -> str:
    """A page with all the pictures that it can have, each as heavy as can be."""
    classes = tuple(f"class-{n}" for n in range(4))
    test = make_predictions(1_500, 200, classes, stem=path)
    doubted = answers(PredictionTable(tuple(test), classes, {}), "test")[-50:]
    return run_page(
        make_evidence(test, classes, thumbnail=OF_A_THUMBNAIL, doubted=doubted, judged=2_000)
    )


def test_a_thousand_images_of_noise_stay_below_five_mebibytes(tmp_path: Path) -> None:
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 256, (120, 120, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "noise.png")
        assert len(thumbnail(tmp_path / "noise.png", 10**6).data) <= OF_A_THUMBNAIL
    html = full("a-folder-of-some-length/and-another-one/")
    assert len(html.encode()) < MOST_BYTES == 5 * 2**20
    assert html.count("<img") == 1_000 + 2 * 2 * MOST_SHOWN + MOST_DOUBTS


def test_where_names_are_long_fewer_images_are_in_the_cells_and_it_is_told() -> None:
    html = full("&" * 290 + "/")
    assert len(html.encode()) < MOST_BYTES
    first = html.index('<div id="cells">')
    cells = Page(html[first : html.index("</section>", first)])
    shown = len(cells.values("img", "src"))
    left = sum(int(each.replace(",", "")) for each in re.findall(r"and ([\d,]+) more;", cells.text))
    assert 0 < shown < 1_000
    assert shown + left == 1_500


def test_many_classes_are_cut_to_what_can_be_taken_in() -> None:
    classes = tuple(f"class-{n:03}" for n in range(220))
    page = Page(run_page(make_evidence(make_predictions(220, 20, classes), classes)))
    assert "Shown are the 30 classes that are confused most, of 220." in page.text
    assert "Shown are 200 of 220; metrics.json has all of them." in page.text


HEAT = "The same with heat where it sees "


def pictures(page: Page, alt: str) -> list[str]:
    """The pictures whose text alternative begins with ``alt``; with none, those without heat."""
    shown = [a for tag, a in page.elements if tag == "img"]
    return [str(a["src"]) for a in shown if str(a["alt"]).startswith(alt or HEAT) == bool(alt)]


def trained(data: Path, out: Path) -> finetune.Run:
    tiny = ["data.workers=0", "model.backbone=test_resnet", "input.size=48"]
    return finetune.train(
        data, "linear_probe", overrides=tiny, weights="none", out=out, reporter=Silent()
    )


def test_a_training_ends_with_a_page_that_needs_its_data_no_more(
    photos: Callable[..., Path], tmp_path: Path
) -> None:
    data = photos({"red": 30, "blue": 30})
    (data / "red" / "broken.png").write_bytes(b"no image")
    run = trained(data, tmp_path / "run")
    page = run.directory.report.read_bytes()
    shutil.rmtree(data)
    run.directory.report.unlink()
    assert report(run) == run.directory.report
    assert run.directory.report.read_bytes() == page
    shown = Page(page.decode())
    cells, heat = set(pictures(shown, "")), set(pictures(shown, HEAT))
    assert len(cells) == run.metrics["n"]
    assert len(heat) == min(run.metrics["n"], 2 * MOST_SHOWN)
    assert "1 file could not be read" in shown.text
    assert not [path for path in run.path.iterdir() if path.name.endswith(".part")]


def test_a_training_ends_with_a_model_card_beside_the_weights(
    photos: Callable[..., Path], tmp_path: Path
) -> None:
    run = trained(photos({"red": 12, "blue": 12}), tmp_path / "run")
    card = run.directory.model_card.read_text(encoding="utf-8")
    assert "| blue | 8 | 2 | 2 |" in card
    assert str(tmp_path) not in card
    assert len(timm.create_model(f"local-dir:{run.path / 'model'}", pretrained=True).fc.bias) == 2
    run.directory.model_card.unlink()
    report(run)
    assert run.directory.model_card.read_text(encoding="utf-8") == card


def test_a_run_shows_its_figures_one_by_one(photos: Callable[..., Path], tmp_path: Path) -> None:
    run = trained(photos({"red": 12, "blue": 12}), tmp_path / "run")
    assert "4 test images, 2 classes" in repr(run.confusion())
    assert run.confusion(normalise=True).frame().shape == (2, 2)
    assert "Reliability" in repr(run.curves())
    assert "mistake" in repr(run.worst())
    run.directory.report.unlink()
    assert run.report() == run.directory.report
    assert run.directory.report.is_file()


def test_a_report_that_fails_is_told_and_the_training_stays_whole(
    photos: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(run: RunDirectory) -> None:
        raise OSError("no room")

    told: list[str] = []
    monkeypatch.setattr("finetune.api.finishing.write_report", fails)
    monkeypatch.setattr(Silent, "warn", lambda self, message: told.append(message))
    run = trained(photos({"red": 12, "blue": 12}), tmp_path / "run")
    assert run.directory.complete
    assert not run.directory.report.exists()
    (line,) = [each for each in told if "Its report" in each]
    assert "could not be written (OSError: no room)" in line
    monkeypatch.undo()
    finetune.api.resume(run.path, reporter=Silent())
    assert run.directory.report.is_file()


def test_a_run_that_is_none_or_not_at_its_end_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"there is no metrics\.json in it"):
        report(tmp_path)
    (tmp_path / "recipe.yaml").touch()
    (tmp_path / "environment.json").touch()
    with pytest.raises(RunError, match="has not come to its end"):
        report(tmp_path)


def test_a_picture_that_is_none_is_not_shown(photos: Callable[..., Path], tmp_path: Path) -> None:
    run = trained(photos({"red": 12, "blue": 12}), tmp_path / "run")
    for path in run.directory.images.iterdir():
        path.write_bytes(b"<svg onload=alert(1)>")
    page = Page(report(run).read_text())
    assert not page.values("img", "src")
    assert "can't be shown" in page.text
