"""Thumbnails, and heat where it is asked about: what a training that ends keeps for its report."""

from __future__ import annotations

from finetune.api.heating import heat
from finetune.console import Reporter
from finetune.data.manifest import Manifest
from finetune.deploy.bundle import Classifier
from finetune.errors import WeightsError
from finetune.evaluation.table import read_predictions
from finetune.features.store import Shelf
from finetune.report.answers import MOST_DOUBTS, answers, explained, pictured
from finetune.report.doubts import doubts
from finetune.report.kept_pictures import keep_heat, keep_thumbnails
from finetune.run import RunDirectory


def keep_pictures(
    run: RunDirectory,
    manifest: Manifest,
    split: str,
    classifier: Classifier,
    shelf: Shelf | None,
    reporter: Reporter,
) -> None:
    """Write the pictures that the report of a run shows; its predictions must be there.

    A network that gives no map of the picture leaves them without heat, and that is told.

    Args:
        run: Where they are kept.
        manifest: Of DATA as it was trained on.
        split: The part that was scored.
        classifier: The network that answered.
        shelf: Of the store, for heat on pictures by this very network; None: nowhere.
        reporter: Told how many are made.
    """
    given = answers(read_predictions(run.predictions), split)
    unseen = read_predictions(run.out_of_fold) if run.out_of_fold.is_file() else None
    doubted = doubts(unseen, manifest.items)[:MOST_DOUBTS]
    paths = dict.fromkeys([*pictured(given), *(doubt.path for doubt in doubted)])
    keep_thumbnails(run, manifest, list(paths), classifier.max_pixels, reporter)
    try:
        pictures = heat(manifest, explained(given), classifier, shelf, reporter)
    except WeightsError as error:
        reporter.say(f"The report has no heat maps: {error.found}.")
        return
    for digest, picture in pictures.items():
        keep_heat(run, digest, picture)
