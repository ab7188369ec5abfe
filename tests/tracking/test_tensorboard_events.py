from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from finetune.recipe.schema import Recipe
from finetune.run import RunDirectory
from finetune.tracking.contents import beginning_of, ending_of, epoch_of
from finetune.tracking.tensorboard_events import TensorBoardEvents


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder)).Reload()


def test_a_run_that_goes_on_has_each_epoch_once(
    complete: RunDirectory, recipe: Recipe, rows: list[dict[str, str]]
) -> None:
    beginning = beginning_of(complete, recipe)
    for length in (3, 4):
        tracker = TensorBoardEvents(complete)
        assert tracker.start(beginning, "") == ""
        for step, row in enumerate(rows[:length], 1):
            tracker.log(epoch_of(step, row, ["tune", "all"]))
        if length == 3:
            tracker.close()
    tracker.finish(ending_of(complete))
    tune = events(complete.tensorboard / "main" / "tune")
    assert set(tune.Tags()["scalars"]) == {"lr", "train_loss"}
    points = [(point.step, round(point.value, 3)) for point in tune.Scalars("train_loss")]
    assert points == [(1, 0.6), (2, 0.5)]
    assert (complete.tensorboard / "fold-1" / "tune").is_dir()
    scores = events(complete.tensorboard)
    assert round(scores.Scalars("scores/test_accuracy_low")[0].value, 3) == 0.8
    assert "parameters/text_summary" in scores.Tags()["tensors"]


def test_a_run_without_epochs_has_no_events(complete: RunDirectory, recipe: Recipe) -> None:
    tracker = TensorBoardEvents(complete)
    tracker.start(beginning_of(complete, recipe), "")
    tracker.finish(ending_of(complete))
    assert not complete.tensorboard.exists()
