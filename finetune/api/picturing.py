"""What a training that ends keeps for its report: thumbnails, and heat where it is asked about."""

from __future__ import annotations

from finetune.console import Reporter
from finetune.data.manifest import Manifest
from finetune.deploy.bundle import Classifier
from finetune.deploy.explaining import explain_answers
from finetune.errors import WeightsError
from finetune.evaluation.table import read_predictions
from finetune.report.answers import MOST_DOUBTS, Answer, answers, explained, pictured
from finetune.report.doubts import doubts
from finetune.report.kept_pictures import keep_heat, keep_thumbnails
from finetune.run import RunDirectory


def keep_pictures(
    run: RunDirectory, manifest: Manifest, split: str, classifier: Classifier, reporter: Reporter
) -> None:
    """Write the pictures that the report of a run shows; its predictions must be there.

    A network that gives no map of the picture leaves them without heat, and that is told.

    Args:
        run: Where they are kept.
        manifest: Of DATA as it was trained on.
        split: The part that was scored.
        classifier: The network that answered.
        reporter: Told how many are made.
    """
    given = answers(read_predictions(run.predictions), split)
    unseen = read_predictions(run.out_of_fold) if run.out_of_fold.is_file() else None
    doubted = doubts(unseen, manifest.items)[:MOST_DOUBTS]
    paths = dict.fromkeys([*pictured(given), *(doubt.path for doubt in doubted)])
    keep_thumbnails(run, manifest, list(paths), classifier.max_pixels, reporter)
    try:
        _keep_heat(run, manifest, explained(given), classifier, reporter)
    except WeightsError as error:
        reporter.say(f"The report has no heat maps: {error.found}.")


def _keep_heat(
    run: RunDirectory,
    manifest: Manifest,
    given: list[Answer],
    classifier: Classifier,
    reporter: Reporter,
) -> None:
    items = {item.path: item for item in manifest.items}
    files = [manifest.file(items[answer.path]) for answer in given]
    predicted = [answer.predicted for answer in given]
    shown = explain_answers(classifier, files, predicted, reporter)
    for answer, picture in zip(given, shown, strict=True):
        if picture is not None:
            keep_heat(run, items[answer.path].digest, picture)
