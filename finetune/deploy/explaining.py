"""Pictures with heat on them: where a classifier sees what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from finetune.console import Reporter, Silent, automatic
from finetune.data.loaders import Batch
from finetune.data.loading import eval_loader, worker_count
from finetune.deploy.bundle import Classifier
from finetune.deploy.inputs import find_images
from finetune.errors import DataError
from finetune.evaluation.explanation import heat_map
from finetune.evaluation.prediction import predict_logits
from finetune.model.device import memory_told, pick_device
from finetune.recipe.faults import nearest
from finetune.report.heat import heated
from finetune.text import printable

_BATCH = 16


def explain_files(
    classifier: Classifier,
    inputs: Sequence[str],
    reporter: Reporter | None,
    *,
    class_name: str | None = None,
) -> list[Image.Image]:
    """A picture with heat for each image that ``inputs`` name, in their order.

    Args:
        classifier: The network with its preprocessing and classes.
        inputs: Images, folders of images, or globs.
        reporter: Who is told.
        class_name: The class that is asked about; None: for each picture the predicted one.

    Raises:
        DataError: An input names no image, an image can't be read, or there is no such class.
        WeightsError: The network gives no map of the picture.
    """
    asked = None if class_name is None else _index(classifier, class_name)
    files = [Path(file) for file in find_images(inputs)]
    loader = eval_loader(
        files, classifier.spec, _BATCH, worker_count("auto"), classifier.max_pixels
    )
    pictures: list[Image.Image] = []
    with (
        memory_told("Free some of it, or explain fewer images."),
        (reporter or automatic()).task("explain", len(files), "images") as task,
    ):
        for batch in loader:
            pictures += _explained(classifier, batch, asked)
            task.advance(len(batch.images))
    return pictures


def _explained(classifier: Classifier, batch: Batch, asked: int | None) -> list[Image.Image]:
    model, device = classifier.model.to(pick_device()), pick_device()
    if asked is None:
        whole = replace(batch, indices=torch.arange(len(batch.images)))
        with Silent().task("", 0, "") as task:
            classes = predict_logits(model, [whole], classifier.spec, device, task).argmax(1)
    else:
        classes = np.full(len(batch.images), asked)
    maps = heat_map(model, classifier.spec, batch.images, classes)
    pairs = zip(batch.images.numpy(), maps, strict=True)
    return [Image.fromarray(heated(pixels, heat)) for pixels, heat in pairs]


def _index(classifier: Classifier, name: str) -> int:
    if name in classifier.classes:
        return classifier.classes.index(name)
    close = nearest(name, classifier.classes)
    raise DataError(
        f"there is no class {printable(name)}",
        mend=f"The nearest is {printable(close)}." if close else "Name one of the model's classes.",
    )
