"""MLflow, against a store of its own on this disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.recipe.schema import Recipe
from finetune.run import RunDirectory
from finetune.tracking import mlflow_runs
from finetune.tracking.contents import beginning_of, ending_of, epoch_of
from finetune.tracking.mlflow_runs import MLflowRun

WHY = "MLflow is not installed: pip install 'finetune-vision[mlflow]'"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The person's data folder, and no word of a store in the environment."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", *mlflow_runs._DEFAULTS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(mlflow_runs, "_folder", lambda: tmp_path / "home")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def client(home: Path) -> Any:
    tracking = pytest.importorskip("mlflow.tracking", reason=WHY)
    return tracking.MlflowClient(tracking_uri=f"sqlite:///{home / 'mlflow.db'}")


def test_a_run_that_goes_on_is_one_run_with_all_that_it_was_told(
    home: Path, complete: RunDirectory, recipe: Recipe, rows: list[dict[str, str]]
) -> None:
    for module in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(module, reason=WHY)
    beginning = beginning_of(complete, recipe)
    first = MLflowRun(complete)
    known = first.start(beginning, "")
    for step in (1, 2, 3):
        first.log(epoch_of(step, rows[step - 1], ["tune", "all"]))
    first.close()
    store = client(home)
    assert store.get_run(known).info.status == "KILLED"

    second = MLflowRun(complete)
    assert second.start(beginning, known) == known
    second.log(epoch_of(4, rows[3], ["tune", "all"]))
    second.finish(ending_of(complete))

    assert second.place == f"mlflow ui --backend-store-uri sqlite:///{home / 'mlflow.db'}"
    run = store.get_run(known)
    assert (run.info.run_name, run.info.status) == ("photos-own-1", "FINISHED")
    assert run.data.params == dict(beginning.parameters)
    assert (run.data.tags["data"], run.data.tags["kept"]) == ("photos", "all")
    losses = [(each.step, each.value) for each in store.get_metric_history(known, "train_loss")]
    assert losses == [(2, 0.6), (3, 0.5), (4, 0.4)]
    places = [each.value for each in store.get_metric_history(known, "phase")]
    assert places == [1.0, 1.0, 2.0]
    assert run.data.metrics["fold-1/train_loss"] == 0.7
    assert run.data.metrics["test_accuracy_high"] == 0.95
    names = {each.path for each in store.list_artifacts(known)}
    assert {"environment.json", "metrics.json", "report.html", "model", "images"} <= names
    assert not names & {"checkpoints", "notes.txt"}
    assert [each.path for each in store.list_artifacts(known, "model")] == ["model/config.json"]
    assert not Path("mlruns").exists(), "nothing is written to the working directory"


def test_no_password_is_shown() -> None:
    assert mlflow_runs._place("https://me:hidden@host:5000/a") == "https://host:5000/a"
    shown = mlflow_runs._place("postgresql://me:hidden@host/runs")
    assert shown == "mlflow ui --backend-store-uri postgresql://host/runs"
