"""A finished run, as notebooks and programs hold it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.console import Reporter
from finetune.deploy.answering import predict_files
from finetune.deploy.bundle import Classifier, load_bundle
from finetune.deploy.embedding import Embeddings, embed_files
from finetune.deploy.explaining import explain_files
from finetune.deploy.extractor import extractor
from finetune.evaluation.table import to_frame
from finetune.report.display.charts import Charts, run_charts
from finetune.report.display.confusion import ConfusionMatrix, run_confusion
from finetune.report.display.mistakes import Mistakes, run_mistakes
from finetune.report.display.scores import scores
from finetune.report.evidence import Evidence, read_evidence
from finetune.report.model_card import write_model_card
from finetune.report.run_page import write_report
from finetune.run import RunDirectory

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
        predictions = predict_files(self.classifier, inputs, reporter, abstain=abstain)
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
        return embed_files(self.classifier, inputs, reporter)

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
        return explain_files(self.classifier, inputs, reporter, class_name=class_name)

    def report(self) -> Path:
        """Write ``report.html`` and the model card again, and say where the report is.

        Raises:
            RunError: A file of the run is missing or can't be read.
            DataError: Its list of images can't be read.
        """
        write_model_card(self.directory)
        write_report(self.directory)
        return self.directory.report

    def confusion(self, normalise: bool = False) -> ConfusionMatrix:
        """What is taken for what; shows itself, and has ``figure()`` and ``frame()``.

        Args:
            normalise: Show shares of the class instead of numbers of images.
        """
        return run_confusion(self._evidence, normalise=normalise)

    def curves(self) -> Charts:
        """Losses by epoch, whether confidence can be believed, what answering less would buy.

        They show themselves, and have ``figure()`` and ``frame()``; those of single classes are
        there to unfold.
        """
        return run_charts(self._evidence)

    def worst(self, n: int = 12) -> Mistakes:
        """The mistakes that it was surest of; they show themselves, with their pictures.

        Args:
            n: How many at most; 12 fit on a screen.

        Raises:
            RunError: ``n`` is below 1.
        """
        return run_mistakes(self._evidence, n)

    @cached_property
    def _evidence(self) -> Evidence:
        return read_evidence(self.directory)

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
        caption = (
            f"{self.path}: {metrics['n']} {metrics['split']} images, "
            f"{len(metrics['classes'])} classes, kept phase {self.phases['kept']}"
        )
        return scores(caption, metrics)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
