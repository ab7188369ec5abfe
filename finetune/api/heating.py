"""Heat on the pictures of a report, made once for a network: the store keeps it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from finetune.console import Reporter
from finetune.data.manifest import Manifest
from finetune.deploy.bundle import Classifier
from finetune.deploy.explaining import explain_answers
from finetune.features.body import FLOAT32
from finetune.features.frozen import about
from finetune.features.segments import Row
from finetune.features.store import Shelf
from finetune.model.fingerprint import digest
from finetune.model.head import classifier as head_of
from finetune.model.stages import HEAD
from finetune.report.answers import Answer
from finetune.report.thumbnails import small


def heat_about(classifier: Classifier, device: torch.device) -> dict[str, Any]:
    """What heat on pictures hangs on besides the image and the class that is asked about."""
    model = classifier.model
    body = about(model, HEAD, classifier.spec, device, FLOAT32)
    return body | {"heat": digest(head_of(model).state_dict().items())}


def heat(
    manifest: Manifest,
    given: list[Answer],
    classifier: Classifier,
    shelf: Shelf | None,
    reporter: Reporter,
) -> dict[str, bytes]:
    """Small pictures with heat, WebP files' bytes, by the digests of the images.

    What can't be read (any more) has none.

    Args:
        manifest: Of the images.
        given: What is asked about: why is this image taken for its predicted class?
        classifier: The network that answered.
        shelf: The store's, for `heat_about` it; None: all are made now.
        reporter: Told how many are made.

    Raises:
        WeightsError: The network gives no map of the picture.
        DeviceError: The memory is not enough.
    """
    digests = {item.path: item.digest for item in manifest.items}
    asked = {f"{digests[answer.path]}/{answer.predicted}": answer for answer in given}
    kept = shelf.read(list(asked)) if shelf else {}
    fresh = {key: answer for key, answer in asked.items() if key not in kept}
    made = _made(manifest, fresh, classifier, reporter)
    _put(shelf, made)
    return {key.partition("/")[0]: picture.tobytes() for key, picture in (kept | made).items()}


def _made(
    manifest: Manifest, asked: dict[str, Answer], classifier: Classifier, reporter: Reporter
) -> dict[str, Row]:
    """The bytes of a small picture for each answer; of what can't be read (any more), none."""
    if not asked:
        return {}
    files = [manifest.root / answer.path for answer in asked.values()]
    predicted = [answer.predicted for answer in asked.values()]
    shown = explain_answers(classifier, files, predicted, reporter)
    return {
        key: np.frombuffer(small(picture).data, np.uint8)
        for key, picture in zip(asked, shown, strict=True)
        if picture is not None
    }


def _put(shelf: Shelf | None, made: dict[str, Row]) -> None:
    if shelf is None or not made:
        return
    with shelf.writing(sum(row.nbytes for row in made.values())) as writer:
        if writer is not None:
            writer.put(made)
