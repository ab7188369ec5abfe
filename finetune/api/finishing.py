"""A trained network made into a classifier on disk, and scored as it lies there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from operator import attrgetter
from typing import Any

import numpy as np

from finetune.api.heating import heat_about
from finetune.api.picturing import keep_pictures
from finetune.api.planning import Plan
from finetune.console import Reporter
from finetune.data.manifest import Item
from finetune.deploy.bundle import Classifier, load_bundle, save_bundle
from finetune.deploy.prediction import Seen, look, look_once
from finetune.deploy.scoring import predictions_for, score, score_read, unreadable, without_copies
from finetune.evaluation.table import write_predictions
from finetune.model.backbone import local_dir_config
from finetune.model.stages import HEAD
from finetune.report.model_card import write_model_card
from finetune.report.run_page import write_report
from finetune.run import RunDirectory
from finetune.training.course import Trained
from finetune.training.setting import Setting
from finetune.training.unseen import OutOfFold


def finish(run: RunDirectory, planned: Plan, setting: Setting, trained: Trained) -> None:
    """Save the classifier, load what was saved, score it, write all down, and report on it."""
    classifier, reporter = _classifier(planned, setting, trained), setting.reporter
    run.write_json(run.phases, trained.phases)
    save_bundle(run.model, classifier)
    if trained.out_of_fold is not None:
        _write_out_of_fold(run, trained.out_of_fold, classifier.classes)
    metrics = _score_saved(run, planned, setting, trained)
    with _told(run, "Its pictures", reporter):
        shelf = setting.shelf(heat_about(classifier, setting.device))
        keep_pictures(run, planned.manifest, metrics["split"], classifier, shelf, reporter)
    run.write_json(run.metrics, metrics)
    report_on(run, reporter)


def report_on(run: RunDirectory, reporter: Reporter) -> None:
    """Write model card and report of a training; where that fails, say so, and leave it whole."""
    with _told(run, "Its model card", reporter):
        write_model_card(run)
    with _told(run, "Its report", reporter):
        write_report(run)


@contextmanager
def _told(run: RunDirectory, what: str, reporter: Reporter) -> Iterator[None]:
    """What fails here takes nothing from the training: it is told, and no more.

    Not only what a user can mend: hours of training must not end in the error of a page.
    """
    try:
        yield
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        reporter.warn(
            f"{what} could not be written ({told}). The training is whole; "
            f"`finetune report {run.path}` tries again."
        )


def _write_out_of_fold(run: RunDirectory, said: OutOfFold, classes: Sequence[str]) -> None:
    """A row for each image, sorted by path; as a cross-validation writes them."""
    rows = predictions_for(said.items, said.logits, said.temperature)
    rows = [replace(row, split="out-of-fold") for row in rows]
    write_predictions(run.out_of_fold, sorted(rows, key=attrgetter("path")), classes)


def _classifier(planned: Plan, setting: Setting, trained: Trained) -> Classifier:
    labels = setting.labels(planned.manifest.part("train"))
    classes = planned.manifest.classes
    majority = classes[int(np.bincount(labels).argmax())]
    return Classifier(
        model=trained.model,
        spec=planned.spec,
        classes=classes,
        temperature=trained.temperature,
        majority=majority,
        max_pixels=planned.recipe.data.max_pixels,
        number_format=setting.inference,
        config=local_dir_config(planned.loaded, len(classes), planned.spec, classes),
        abstention=trained.abstention,
    )


def _score_saved(
    run: RunDirectory, planned: Plan, setting: Setting, trained: Trained
) -> dict[str, Any]:
    """Score the classifier as it lies on disk on the test part.

    Without one, the scores are of what was said of the validation part before it was learnt from.
    """
    manifest, recipe = planned.manifest, planned.recipe
    shipped = load_bundle(run.model)
    validation, test = manifest.part("val"), manifest.part("test")
    seen = _seen(shipped, test, setting)
    rows = predictions_for(validation, trained.validation, shipped.temperature)
    rows += predictions_for(test, seen.logits, shipped.temperature, seen.errors) + unreadable(
        manifest, ("val", "test")
    )
    write_predictions(run.predictions, rows, shipped.classes)
    options, seed = recipe.evaluate, recipe.seed
    if test:
        labels, groups = setting.labels(test), [item.group for item in test]
        metrics = score_read(shipped, seen, labels, "test", options, seed, groups=groups)
        return metrics | without_copies(shipped, test, seen, options)
    setting.reporter.warn(
        "There is no test part: the scores are those of the validation part, on which choices were "
        "made, and flatter the model."
    )
    labels, groups = setting.labels(validation), [item.group for item in validation]
    return score(shipped, trained.validation, labels, "val", options, seed, groups=groups)


def _seen(shipped: Classifier, test: Sequence[Item], setting: Setting) -> Seen:
    """What the saved classifier makes of the test part.

    Where its body is as pretrained, by the digests of what lies on disk, the store may have seen
    the images before; it doesn't keep what a body that is this run's alone makes of them.
    """
    files, reporter = [setting.manifest.file(item) for item in test], setting.reporter
    pristine = setting.frozen
    own = setting.outputs(shipped.model.to(setting.device), HEAD, pristine.form)
    if own.shelf is None or pristine.shelf is None or own.shelf.folder != pristine.shelf.folder:
        return look(shipped, files, reporter, setting.device, setting.workers, "scoring")
    digests = [item.digest for item in test]
    return look_once(
        shipped, files, digests, own, reporter, setting.device, setting.workers, "scoring"
    )
