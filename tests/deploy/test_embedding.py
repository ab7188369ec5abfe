from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import finetune
from finetune.cli import main
from finetune.console import Silent
from finetune.data.input_spec import InputSpec
from finetune.deploy import embedding
from finetune.deploy.bundle import Classifier, save_bundle
from finetune.deploy.embedding import Embeddings, write_embeddings
from finetune.errors import DataError, RunError
from finetune.model.backbone import load_backbone, local_dir_config
from finetune.model.weights import choose_weights
from finetune.recipe.schema import ModelOptions
from finetune.text import from_cell


@pytest.fixture
def model(tmp_path: Path) -> Path:
    options = ModelOptions(backbone="test_resnet", pretrained=False)
    loaded = load_backbone(choose_weights(options, "none", None), 2, seed=3)
    spec, classes = InputSpec(size=32), ("a", "b")
    config = local_dir_config(loaded, 2, spec, classes)
    classifier = Classifier(loaded.model, spec, classes, 1.0, "a", 10**6, "float32", config)
    save_bundle(tmp_path / "model", classifier)
    return tmp_path / "model"


@pytest.fixture(autouse=True)
def _one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """With so few pictures, worker processes cost more than they bring."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)


def test_a_row_for_each_file_in_its_order(model: Path, photos: Callable[..., Path]) -> None:
    data = photos({"red": 3, "green": 2})
    (data / "green" / "bad.png").write_bytes(b"no picture")
    found = finetune.embed(model, data, reporter=Silent())
    assert [Path(path).name for path in found.paths] == [
        *("000.png", "001.png", "bad.png", "000.png", "001.png", "002.png")
    ]
    assert [bool(error) for error in found.errors] == [False, False, True, False, False, False]
    assert (found.features.dtype, found.features.shape[0]) == (np.float32, 6)
    assert np.isnan(found.features[2]).all()
    assert np.isfinite(found.readable().features).all()
    assert len(found.readable()) == 5
    assert (
        repr(found)
        == f"Embeddings(6 files, 1 can't be read; {found.features.shape[1]} numbers each)"
    )
    frame = found.to_frame()
    assert list(frame.columns[:3]) == ["path", "error", 0]
    again = finetune.embed(model, list(found.paths)[::-1], reporter=Silent())
    np.testing.assert_allclose(again.features[::-1], found.features, rtol=1e-5, atol=1e-6)


def test_the_vectors_are_what_the_classifier_takes(
    model: Path, photos: Callable[..., Path]
) -> None:
    file = photos({"red": 1}, noise=90) / "red" / "000.png"
    found = finetune.embed(model, file, reporter=Silent())
    classifier = finetune.api.using.load_bundle(model)
    seen = embedding.look(classifier, [file], Silent(), torch.device("cpu"))
    np.testing.assert_array_equal(found.features, seen.features)


paths = st.text(st.characters(codec="utf-8") | st.sampled_from("\udcff=\n\\'"), max_size=8)


@given(
    names=st.lists(st.tuples(paths, st.booleans()), max_size=5),
    values=arrays(np.float32, (5, 3), elements=st.floats(width=32, allow_nan=False)),
)
@settings(deadline=None, max_examples=15)
def test_what_is_written_is_read_back(
    names: list[tuple[str, bool]], values: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    errors = tuple("broken" if bad else "" for _, bad in names)
    wanted = Embeddings(tuple(name for name, _ in names), errors, values[: len(names)])
    file = tmp_path_factory.mktemp("written") / "f.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding, "_ROWS", 2)
        write_embeddings(file, wanted)
    frame = pd.read_parquet(file)
    assert list(frame.columns) == ["path", "error", "features"]
    assert [from_cell(path) for path in frame["path"]] == list(wanted.paths)
    assert list(frame["error"]) == list(errors)
    for row, value, error in zip(frame["features"], values, errors, strict=False):
        assert row is None if error else (row.dtype == np.float32 and np.array_equal(row, value))
    assert [path.name for path in file.parent.iterdir()] == ["f.parquet"]


def test_the_command_writes_it_and_tells_of_bad_files(
    model: Path,
    photos: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, out = photos({"red": 3}), tmp_path / "f.parquet"
    (data / "red" / "bad.jpg").touch()
    monkeypatch.setattr(sys, "argv", ["finetune", "embed", str(model), str(data), "-o", str(out)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    shown = capsys.readouterr()
    assert "1 file can't be read" in shown.err
    assert "3 images, " in shown.out
    frame = pd.read_parquet(out)
    assert frame["features"].isna().sum() == 1
    assert (frame["error"] != "").sum() == 1


def test_places_and_inputs_are_judged_before_the_work(
    model: Path, photos: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, there = photos({"red": 1}), tmp_path / "there.parquet"
    there.write_text("mine", encoding="utf-8")
    monkeypatch.setattr(embedding, "look", None)  # none of these gets as far
    with pytest.raises(RunError, match="exists already"):
        finetune.embed(model, data, out=there)
    assert there.read_text(encoding="utf-8") == "mine"
    with pytest.raises(RunError, match=r"\.parquet"):
        finetune.embed(model, data, out=tmp_path / "f.npy")
    with pytest.raises(DataError, match="gone"):
        finetune.embed(model, tmp_path / "gone", out=tmp_path / "new.parquet")
    with pytest.raises(RunError, match="no run directory"):
        finetune.embed(data, data)
    assert not (tmp_path / "new.parquet").exists()
