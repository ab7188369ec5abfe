"""A trained network made into a classifier on disk, and scored as it lies there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from finetune.api.planning import Plan
from finetune.data.manifest import Item
from finetune.deploy.bundle import Classifier, load_bundle, save_bundle
from finetune.deploy.prediction import classify
from finetune.deploy.scoring import predictions_for, score, score_read, unreadable, without_copies
from finetune.evaluation.table import write_predictions
from finetune.model.backbone import local_dir_config
from finetune.run import RunDirectory
from finetune.training.course import Trained
from finetune.training.setting import Setting

_FEW_IN_GROUPS = 0.05
"""Share of the test images beside another of their group, below which it matters little."""


def finish(run: RunDirectory, planned: Plan, setting: Setting, trained: Trained) -> None:
    """Save the classifier, load what was saved, score it, and write all down."""
    run.write_json(run.phases, trained.phases)
    save_bundle(run.model, _classifier(planned, setting, trained))
    run.write_json(run.metrics, _score_saved(run, planned, setting, trained))


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
    )


def _score_saved(
    run: RunDirectory, planned: Plan, setting: Setting, trained: Trained
) -> dict[str, Any]:
    """Score the classifier as it lies on disk on the test part, or on validation without one."""
    manifest, recipe = planned.manifest, planned.recipe
    shipped = load_bundle(run.model)
    validation, test = manifest.part("val"), manifest.part("test")
    files = [manifest.file(item) for item in test]
    logits, errors = classify(
        shipped, files, setting.reporter, setting.device, setting.workers, "scoring"
    )
    rows = predictions_for(validation, trained.validation, shipped.temperature)
    rows += predictions_for(test, logits, shipped.temperature, errors) + unreadable(
        manifest, ("val", "test")
    )
    write_predictions(run.predictions, rows, shipped.classes)
    if _share_in_groups(test) > _FEW_IN_GROUPS:
        setting.reporter.warn(
            "The images come in groups, and the intervals take each image for itself: where those "
            "of a group are alike, the scores are less sure than the intervals say."
        )
    if test:
        labels = setting.labels(test)
        metrics = score_read(shipped, logits, labels, errors, "test", recipe.evaluate, recipe.seed)
        return metrics | without_copies(shipped, test, logits, errors, recipe.evaluate)
    setting.reporter.warn(
        "There is no test part: the scores are those of the validation part, on which choices were "
        "made, and flatter the model."
    )
    labels = setting.labels(validation)
    return score(shipped, trained.validation, labels, "val", recipe.evaluate, recipe.seed)


def _share_in_groups(items: Sequence[Item]) -> float:
    """The share of ``items`` that have another of their group beside them."""
    counts = Counter(item.group for item in items if item.group)
    return sum(count for count in counts.values() if count > 1) / max(1, len(items))
