"""A finished run, as notebooks and programs hold it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.console import Reporter, automatic
from finetune.deploy.bundle import Classifier, load_bundle
from finetune.deploy.embedding import Embeddings, embed_files
from finetune.deploy.explaining import explain_files
from finetune.deploy.extractor import extractor
from finetune.deploy.inputs import find_images
from finetune.deploy.prediction import check_abstains, look, probabilities, reasons
from finetune.evaluation.names import SCORE_NAMES
from finetune.evaluation.table import Prediction, to_frame
from finetune.model.device import pick_device
from finetune.run import RunDirectory
from finetune.text import printable

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image
    from torch import nn


@dataclass(frozen=True)
class Run:
    """A run directory whose training has ended.

    Attributes:
        directory: Where its files are.
    """

    directory: RunDirectory

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.directory.path

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The scores: ``run.metrics["accuracy"]`` has ``value``, ``low`` and ``high``."""
        metrics: dict[str, Any] = self.directory.read_json(self.directory.metrics)
        return metrics

    @cached_property
    def phases(self) -> dict[str, Any]:
        """The freeze audit, and which phase's weights were kept and why."""
        phases: dict[str, Any] = self.directory.read_json(self.directory.phases)
        return phases

    @cached_property
    def log(self) -> pd.DataFrame:
        """A row per epoch; empty where no phase went by epochs."""
        import pandas as pd

        return pd.read_csv(self.directory.log) if self.directory.log.is_file() else pd.DataFrame()

    @cached_property
    def classifier(self) -> Classifier:
        """The trained network with its preprocessing, classes and temperature."""
        return load_bundle(self.path)

    @property
    def model(self) -> nn.Module:
        """The trained network, a timm model in evaluation mode."""
        return self.classifier.model

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, by output."""
        return tuple(self.metrics["classes"])

    def predict(
        self,
        inputs: str | PathLike[str] | Sequence[str | PathLike[str]],
        reporter: Reporter | None = None,
        *,
        abstain: bool = False,
    ) -> pd.DataFrame:
        """A row for each image: its path, the predicted class, a calibrated probability per class.

        Args:
            inputs: Images, folders of images, or globs.
            reporter: Who is told; a progress bar in a notebook or on a terminal by default.
            abstain: Predict no class where the model knows that it shouldn't; ``reason`` says why.

        Raises:
            DataError: An input names no image.
            RunError: The model is to abstain and doesn't know when.
        """
        names = [inputs] if isinstance(inputs, (str, PathLike)) else list(inputs)
        files = [fspath(name) for name in names]
        predictions = predict_files(self.classifier, files, reporter, abstain=abstain)
        return to_frame(predictions, self.classifier.classes)

    def embed(
        self,
        inputs: str | PathLike[str] | Sequence[str | PathLike[str]],
        reporter: Reporter | None = None,
    ) -> Embeddings:
        """What the classifier takes of each image: a vector each, for search and clustering.

        Args:
            inputs: Images, folders of images, or globs.
            reporter: Who is told; a progress bar in a notebook or on a terminal by default.

        Raises:
            DataError: An input names no image.
        """
        names = [inputs] if isinstance(inputs, (str, PathLike)) else list(inputs)
        return embed_files(self.classifier, [fspath(name) for name in names], reporter)

    def backbone(
        self, out_indices: Sequence[int] | None = None, *, features_only: bool = True
    ) -> nn.Module:
        """A copy of the trained network without its head, to build on; in evaluation mode.

        It takes normalised pictures; ``run.classifier.spec`` says how. All of it can be trained.

        Args:
            out_indices: Which of timm's levels to give; None: those that timm gives by default.
            features_only: timm's feature extractor, which gives maps of the picture and has
                ``feature_info``; else the network up to its classifier: vectors ``[N, D]``.

        Raises:
            WeightsError: timm has no feature extractor for this network, or not these levels.
        """
        return extractor(self.classifier, out_indices, features_only=features_only)

    def explain(
        self,
        inputs: str | PathLike[str] | Sequence[str | PathLike[str]],
        reporter: Reporter | None = None,
        *,
        class_name: str | None = None,
    ) -> list[Image.Image]:
        """Each picture as the network sees it, with heat where it speaks for a class.

        What is shown is said of the network's last stage (`finetune.evaluation.explanation`): where
        it looks, not whether it is right to.

        Args:
            inputs: Images, folders of images, or globs.
            reporter: Who is told; a progress bar in a notebook or on a terminal by default.
            class_name: The class that is asked about; None: for each picture the predicted one.

        Raises:
            DataError: An input names no image, an image can't be read, or there is no such class.
            WeightsError: The network gives no map of the picture.
        """
        names = [inputs] if isinstance(inputs, (str, PathLike)) else list(inputs)
        files = [fspath(name) for name in names]
        return explain_files(self.classifier, files, reporter, class_name=class_name)

    def __repr__(self) -> str:
        score = self.metrics["accuracy"]
        return (
            f"Run({str(self.path)!r}: accuracy {_number(score['value'])} "
            f"[{_number(score['low'])}, {_number(score['high'])}] on {self.metrics['n']} "
            f"{self.metrics['split']} images)"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: the scores with their intervals, and what a guess would score."""
        metrics = self.metrics
        rows = [(name, metrics[key]) for key, name in SCORE_NAMES.items()]
        rows.append(("a guess of the commonest class", metrics["baseline"]["majority"]))
        cells = "".join(
            f"<tr><td style='text-align:left'>{name}</td><td>{_number(score['value'])}</td>"
            f"<td>{_number(score['low'])} – {_number(score['high'])}</td></tr>"
            for name, score in rows
        )
        caption = (
            f"{html.escape(printable(str(self.path)))}: {metrics['n']} {metrics['split']} images, "
            f"{len(metrics['classes'])} classes, kept phase {html.escape(self.phases['kept'])}"
        )
        return (
            f"<table><caption>{caption}</caption><thead><tr><th>score</th><th>value</th>"
            f"<th>{metrics['confidence']:.0%} interval</th></tr></thead>"
            f"<tbody>{cells}</tbody></table>"
        )


def predict_files(
    classifier: Classifier,
    inputs: Sequence[str],
    reporter: Reporter | None,
    *,
    abstain: bool = False,
) -> list[Prediction]:
    """A prediction for each image that ``inputs`` name.

    Raises:
        DataError: An input names no image.
        RunError: The classifier is to abstain and doesn't know when.
    """
    if abstain:
        check_abstains(classifier)
    files = find_images(inputs)
    seen = look(classifier, [Path(file) for file in files], reporter or automatic(), pick_device())
    told = reasons(classifier, seen) if abstain else [""] * len(files)
    values = probabilities(classifier, seen.logits)
    return [
        Prediction(file, probabilities=value, reason=reason)
        if not error
        else Prediction(file, error=error)
        for file, value, error, reason in zip(files, values, seen.errors, told, strict=True)
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
