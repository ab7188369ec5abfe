"""Pictures with heat on them: where a classifier sees what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from finetune.console import Reporter, Silent, automatic
from finetune.data.loaders import Batch
from finetune.data.loading import Reading, eval_loader, prediction_loader, worker_count
from finetune.deploy.bundle import Classifier
from finetune.deploy.inputs import Name, find_images
from finetune.deploy.prediction import number_format_on
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
    inputs: Name | Sequence[Name],
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
    reading = Reading(classifier.spec, classifier.max_pixels, worker_count("auto"))
    loader = eval_loader(files, reading, _BATCH)
    pictures: list[Image.Image] = []
    with (
        memory_told("Free some of it, or explain fewer images."),
        (reporter or automatic()).task("explain", len(files), "images") as task,
    ):
        for batch in loader:
            pictures += _explained(classifier, batch, asked)
            task.advance(len(batch.images))
    return pictures


def explain_answers(
    classifier: Classifier,
    files: Sequence[Path],
    predicted: Sequence[str],
    reporter: Reporter,
) -> list[Image.Image | None]:
    """A picture with heat for each file, for the class that it was taken for; None: unreadable.

    Args:
        classifier: The network with its preprocessing and classes.
        files: The images, ``[N]``.
        predicted: The class of each that is asked about, ``[N]``.
        reporter: Who is told.

    Raises:
        WeightsError: The network gives no map of the picture.
        DeviceError: The memory is not enough.
    """
    index = {name: place for place, name in enumerate(classifier.classes)}
    classes = np.array([index[name] for name in predicted], dtype=np.int64)
    errors, pictures = [""] * len(files), dict[int, Image.Image]()
    reading = Reading(classifier.spec, classifier.max_pixels)
    loader = prediction_loader(files, reading, _BATCH, errors)
    with (
        memory_told("Free some of it; the classifier itself is whole."),
        reporter.task("heat maps", len(files), "images") as task,
    ):
        for batch in loader:
            places = batch.indices.tolist()
            made = _heated(classifier, batch.images, classes[places])
            pictures.update(zip(places, made, strict=True))
            task.advance(len(places))
    return [None if error else pictures[place] for place, error in enumerate(errors)]


def _explained(classifier: Classifier, batch: Batch, asked: int | None) -> list[Image.Image]:
    if asked is not None:
        return _heated(classifier, batch.images, np.full(len(batch.images), asked))
    model, device = classifier.model.to(pick_device()), pick_device()
    whole = replace(batch, indices=torch.arange(len(batch.images)))
    with Silent().task("", 0, "") as task:
        fast = number_format_on(device, classifier)
        logits = predict_logits(model, [whole], classifier.spec, device, task, fast)
    return _heated(classifier, batch.images, logits.argmax(1))


def _heated(
    classifier: Classifier, images: torch.Tensor, classes: npt.NDArray[np.integer]
) -> list[Image.Image]:
    maps = heat_map(classifier.model.to(pick_device()), classifier.spec, images, classes)
    pairs = zip(images.numpy(), maps, strict=True)
    return [Image.fromarray(heated(pixels, heat)) for pixels, heat in pairs]


def _index(classifier: Classifier, name: str) -> int:
    if name in classifier.classes:
        return classifier.classes.index(name)
    close = nearest(name, classifier.classes)
    raise DataError(
        f"there is no class {printable(name)}",
        mend=f"The nearest is {printable(close)}." if close else "Name one of the model's classes.",
    )
