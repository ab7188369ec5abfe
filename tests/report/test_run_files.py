"""Files of a run that were edited or cut are told, whatever was done to them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import finetune
from finetune.console import Silent
from finetune.errors import FinetuneError, RunError
from finetune.report.evidence import read_evidence
from finetune.report.run_page import run_page
from finetune.run import RunDirectory

TINY = ["data.workers=0", "model.backbone=test_resnet", "input.size=48", "phases.tune.epochs=1"]
FILES = ("metrics.json", "phases.json", "environment.json")
MISSING = object()


@pytest.fixture(scope="module")
def whole(write_photos: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a solved head and an epoch."""
    folder = tmp_path_factory.mktemp("whole")
    data = write_photos(folder / "photos", {"red": 20, "blue": 20})
    finetune.train(
        data, "lp_ft", overrides=TINY, weights="none", out=folder / "run", reporter=Silent()
    )
    return folder / "run"


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> RunDirectory:
    """A copy of it."""
    return RunDirectory(Path(shutil.copytree(whole, tmp_path / "run")))


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of everything in a JSON value."""
    yield above
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from places(inner, (*above, key))


def edited(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """``value`` with another one at ``place``, or nothing there."""
    if not place:
        return {} if new is MISSING else new
    inside = value
    for key in place[:-1]:
        inside = inside[key]
    if new is MISSING:
        del inside[place[-1]]
    else:
        inside[place[-1]] = new
    return value


def fault(run: RunDirectory) -> RunError | None:
    """What is told of a run instead of its page; None: there is a page."""
    try:
        run_page(read_evidence(run))
    except RunError as error:
        return error
    return None


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    chosen=st.data(),
    name=st.sampled_from(FILES),
    new=st.sampled_from([MISSING, None, "text", "", -1, 10**9, 0.5, float("nan"), [], {}, True]),
)
def test_an_edited_value_is_told_or_shown_but_never_a_bug(
    run: RunDirectory, whole: Path, chosen: st.DataObject, name: str, new: Any
) -> None:
    value = json.loads((whole / name).read_text())
    place = chosen.draw(st.sampled_from(list(places(value))))
    (run.path / name).write_text(json.dumps(edited(value, place, new)))
    error = fault(run)
    shutil.copy(whole / name, run.path / name)
    assert error is None or (name in error.where and error.found and error.mend)


@pytest.mark.parametrize(
    ("name", "place", "told"),
    [
        ("metrics.json", ("accuracy", "low"), "accuracy.low is missing"),
        ("metrics.json", ("per_class", "red", "support"), "per_class.red.support is missing"),
        ("phases.json", ("phases", 0, "choice"), "phases.0.choice is missing"),
        ("environment.json", ("weights", "source"), "weights.source is missing"),
    ],
)
def test_a_key_that_is_missing_is_named(
    run: RunDirectory, name: str, place: tuple[Any, ...], told: str
) -> None:
    value = json.loads((run.path / name).read_text())
    (run.path / name).write_text(json.dumps(edited(value, place, MISSING)))
    with pytest.raises(RunError, match=told) as caught:
        read_evidence(run)
    assert caught.value.where == str(run.path / name)


def test_half_a_score_and_a_wrong_type_are_told_together(run: RunDirectory) -> None:
    value = json.loads(run.metrics.read_text())
    value["accuracy"]["high"], value["n"] = None, "many"
    run.metrics.write_text(json.dumps(value))
    with pytest.raises(RunError) as caught:
        read_evidence(run)
    assert "n: should be a valid integer" in caught.value.found
    assert "accuracy has to have value, low and high, or none of them" in caught.value.found


@pytest.mark.parametrize("key", ["abstention", "leaked"])
def test_what_a_run_may_lack_may_be_null(run: RunDirectory, key: str) -> None:
    value = json.loads(run.metrics.read_text())
    run.metrics.write_text(json.dumps(value | {key: None}))
    assert fault(run) is None


@pytest.mark.parametrize("name", [*FILES[1:], "predictions.csv", "data.csv", "recipe.yaml"])
def test_a_missing_file_is_told(run: RunDirectory, name: str) -> None:
    (run.path / name).unlink()
    with pytest.raises(FinetuneError) as caught:
        read_evidence(run)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["predictions.csv", "out_of_fold.csv", "log.csv"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.97])
def test_a_table_that_was_cut_is_told_or_shown_but_never_a_bug(
    run: RunDirectory, name: str, share: float
) -> None:
    data = (run.path / name).read_bytes()
    (run.path / name).write_bytes(data[: int(share * len(data))])
    error = fault(run)
    if error is None:
        assert name != "predictions.csv"
    else:
        assert name in error.where


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("p:blue", "p:green", "its classes are not those of metrics.json"),
        (",test,red,", ",test,rad,", "there is a label in it that is none of its classes"),
        (",test,red,", ",val,red,", "images of the test part; metrics.json scores"),
    ],
)
def test_predictions_that_do_not_fit_the_scores_are_told(
    run: RunDirectory, old: str, new: str, told: str
) -> None:
    text = run.predictions.read_text()
    assert old in text
    run.predictions.write_text(text.replace(old, new, 1))
    with pytest.raises(RunError, match=told) as caught:
        read_evidence(run)
    assert caught.value.where == str(run.predictions)


@pytest.mark.parametrize("cell", ["nan", "-0.1", "1.5", "x", ""])
def test_what_is_no_probability_is_told(run: RunDirectory, cell: str) -> None:
    *lines, last = run.predictions.read_text().splitlines()
    run.predictions.write_text("\n".join([*lines, f"{last.rpartition(',')[0]},{cell}"]))
    with pytest.raises(RunError, match="no predictions can be read here"):
        read_evidence(run)


def test_what_is_no_number_in_the_log_is_told(run: RunDirectory) -> None:
    run.log.write_text(run.log.read_text().replace("main,tune,1", "main,tune,one"))
    with pytest.raises(RunError, match="'one'") as caught:
        read_evidence(run)
    assert caught.value.where == str(run.log)
