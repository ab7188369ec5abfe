"""Whole cross-validations on tiny pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import finetune
from finetune.api.planning import setting_of
from finetune.api.suggesting import plan
from finetune.console import Silent
from finetune.data.fixes import read_fixes
from finetune.data.manifest import read_manifest
from finetune.errors import RunError
from finetune.evaluation.calibration import fit_temperature, softmax
from finetune.evaluation.table import read_predictions
from finetune.experiments import cross_validation, trial
from finetune.experiments.directory import ExperimentDirectory
from finetune.experiments.folds import folds_of_pool
from finetune.recipe.loading import load_recipe
from finetune.run import is_run
from finetune.training.solver import refit_head, solve_head

Photos = Callable[..., Path]
TWO = {"red": 15, "green": 15}


def test_out_of_fold_answers_are_those_of_a_loop_of_solve_head(
    photos: Photos, tmp_path: Path, cross_validate
) -> None:
    data = photos(TWO, noise=90)
    done = cross_validate(data, tmp_path / "cv", folds=3, repeats=2)
    recipe = load_recipe(done.directory.recipe)
    planned = plan(data, recipe, overrides=["data.test=0"], weights="none", reporter=Silent())
    setting = setting_of(planned, None, Silent())
    manifest = read_manifest(done.directory.data, data)
    table = read_predictions(done.directory.out_of_fold)
    said = {
        (row.path, repeat): row.probabilities
        for row, repeat in zip(table.predictions, table.more["repeat"], strict=True)
    }
    assert len(said) == len(table.predictions) == 60
    for fold in folds_of_pool(manifest, manifest.part("train"), recipe, 3, 2):
        learnt = [item for item in fold.trial.learnt if item.split == "train"]
        both = [*learnt, *(item for item in fold.trial.learnt if item.split == "val")]
        features, labels = setting.pristine_features(learnt), manifest.labels(learnt)
        head = solve_head(features, labels, 2, l2="auto", folds=5, seed=recipe.seed)
        temperature = fit_temperature(head.out_of_fold, labels)
        every = setting.pristine_features(both)
        weight, bias = refit_head(every, manifest.labels(both), 2, l2=head.chosen)
        logits = setting.pristine_features(fold.trial.judged) @ weight.T + bias
        for item, share in zip(fold.trial.judged, softmax(logits, temperature), strict=True):
            assert said[item.path, str(fold.repeat)] == pytest.approx(share, abs=1e-5)


def test_its_directory_is_no_run_and_the_scores_are_there(
    photos: Photos, tmp_path: Path, cross_validate
) -> None:
    done = cross_validate(photos(TWO, noise=90), tmp_path / "cv", folds=3, repeats=1)
    names = {path.name for path in done.path.iterdir()}
    assert names == {
        *("recipe.yaml", "data.csv", "experiment.json"),
        *("folds", "out_of_fold.csv", "fixes.csv", "cv.json"),
    }
    assert not is_run(done.path)
    assert done.scores["n"] == 30
    assert len(done.scores["by_fold"]) == 3
    assert list(done.out_of_fold.columns[-2:]) == ["fold", "repeat"]
    right = done.out_of_fold["predicted"] == done.out_of_fold["label"]
    assert done.scores["accuracy"]["value"] == pytest.approx(right.mean())
    assert "3 folds" in repr(done)
    assert "balanced accuracy" in done._repr_html_()
    assert done.final is None
    with pytest.raises(RunError, match="is a cross-validation"):
        finetune.predict(done.path, "x")


def test_what_is_finished_is_not_done_again(
    photos: Photos, tmp_path: Path, cross_validate, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = photos(TWO, noise=90)
    whole = cross_validate(data, tmp_path / "whole", folds=3, repeats=1)
    begun, course = [], trial.run_course

    def stopping(setting):
        begun.append(setting)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return course(setting)

    monkeypatch.setattr(trial, "run_course", stopping)
    monkeypatch.setattr(cross_validation, "solved_at_once", lambda *_: 1)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(data, tmp_path / "cv", folds=3, repeats=1)
    assert not ExperimentDirectory(tmp_path / "cv").complete
    again = cross_validate(data, tmp_path / "cv", folds=3, repeats=1)
    assert len(begun) == 4
    for name in ("out_of_fold.csv", "fixes.csv", "cv.json"):
        assert (again.path / name).read_bytes() == (whole.path / name).read_bytes()
    cross_validate(data, tmp_path / "cv", folds=3, repeats=1)  # complete: nothing is done
    assert len(begun) == 4


def test_another_cross_validation_is_not_gone_on_with(
    photos: Photos, tmp_path: Path, cross_validate
) -> None:
    data = photos(TWO)
    cross_validate(data, tmp_path / "cv", folds=3, repeats=1)
    with pytest.raises(RunError, match="with other folds and recipe"):
        cross_validate(data, tmp_path / "cv", "linear_probe", "seed=2", folds=2, repeats=1)
    (data / "red" / "000.png").unlink()
    with pytest.raises(RunError, match="with other data"):
        cross_validate(data, tmp_path / "cv", folds=3, repeats=1)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(RunError, match="is not empty"):
        cross_validate(data, tmp_path / "other", folds=3, repeats=1)


def test_a_recipe_with_gradients_and_the_final_classifier(
    photos: Photos, tmp_path: Path, cross_validate
) -> None:
    more = ("phases.tune.epochs=1", "phases.tune.batch_size=8")
    done = cross_validate(
        photos(TWO, noise=20), tmp_path / "cv", "lp_ft", *more, folds=2, repeats=1, final=True
    )
    fold = done.path / "folds" / "1-2"
    assert {path.name for path in fold.iterdir()} >= {"log.csv", "phases.json"}
    assert not (fold / "checkpoints").exists()
    record = json.loads((fold / "phases.json").read_text(encoding="utf-8"))
    assert done.scores["by_fold"][1]["kept"] == record["kept"]
    assert load_file(fold / "answers.safetensors")["logits"].shape == (15, 2)
    run = finetune.load_run(done.final)
    assert run.metrics["split"] == "val"  # no image of a folder without parts is kept back
    assert np.isfinite(run.metrics["log_loss"]["value"])


def test_a_test_part_that_data_brings_stays_out(
    photos: Photos, tmp_path: Path, cross_validate
) -> None:
    photos(TWO, name="parts/train")
    photos({"red": 4, "green": 4}, name="parts/test")
    done = cross_validate(tmp_path / "parts", tmp_path / "cv", folds=3, repeats=1)
    assert done.scores["n"] == 30
    assert all(path.startswith("train/") for path in done.out_of_fold["path"])


def test_folds_fit_no_limits_for_abstaining_and_the_final_classifier_does(
    photos: Photos, tmp_path: Path, cross_validate, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, course = [], trial.run_course
    monkeypatch.setattr(
        trial, "run_course", lambda setting: trained.append(course(setting)) or trained[-1]
    )
    more = ("evaluate.precision=0.6",)
    done = cross_validate(
        photos(TWO), tmp_path / "cv", "linear_probe", *more, folds=2, repeats=1, final=True
    )
    assert [bool(each.abstention) for each in trained] == [False, False]
    assert finetune.load_run(done.final).classifier.abstention


def test_groups_of_data_stay_in_one_fold_and_widen_the_intervals(
    photos: Photos, tmp_path: Path, cross_validate
) -> None:
    data = photos({"red": 24, "green": 24}, noise=60)
    files = [path.relative_to(data).as_posix() for path in sorted(data.rglob("*.png"))]
    rows = [f"{path},{path.split('/')[0]},{number // 6}" for number, path in enumerate(files)]
    (data / "groups.csv").write_text("\n".join(["path,label,group", *rows]), encoding="utf-8")
    done = cross_validate(data / "groups.csv", tmp_path / "cv", folds=3, repeats=1)
    assert (done.scores["n"], done.scores["groups"]) == (48, 8)
    assert done.scores["unsure"]["accuracy"] == "there are 8 groups in all"
    numbers = [files.index(path) // 6 for path in done.out_of_fold["path"]]
    said = done.out_of_fold.assign(group=numbers)
    assert (said.groupby("group")["fold"].nunique() == 1).all()


def test_labels_that_its_trainings_doubt_are_in_fixes(
    photos: Photos, tmp_path: Path, cross_validate
) -> None:
    data = photos({"red": 20, "green": 20}, noise=10)
    (data / "green" / "007.png").rename(data / "red" / "moved.png")
    done = cross_validate(data, tmp_path / "cv", folds=3, repeats=2)
    (fix,) = read_fixes(done.directory.fixes)
    assert (fix.path, fix.suggestion) == ("red/moved.png", "relabel to green")
    rows = done.out_of_fold.query("path == 'red/moved.png'")
    assert fix.problem.endswith(f"say green with {rows['p:green'].mean():.2f}")
    again = cross_validate(
        data, tmp_path / "again", "linear_probe", f"data.fixes={done.directory.fixes}", folds=3
    )
    assert read_fixes(again.directory.fixes) == []
