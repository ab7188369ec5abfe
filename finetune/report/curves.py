"""The curves of a run: of its training, of its confidence, and of each class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from finetune.evaluation.clusters import group_numbers
from finetune.evaluation.reliability import reliability
from finetune.evaluation.risk import risk_coverage
from finetune.report.charts import Chart, Line
from finetune.report.evidence import Evidence
from finetune.report.run_files import Epoch

MOST_CLASSES = 12
"""Classes whose curves are drawn: those of the smallest area below the ROC curve."""

_DIAGONAL = ((0.0, 0.0), (1.0, 1.0))


def training_charts(evidence: Evidence) -> list[Chart]:
    """Losses by epoch of each phase that has epochs, as the final fit went through them."""
    rows = [row for row in evidence.log if row.fit == "main"]
    names = dict.fromkeys(row.phase for row in rows)
    return [_training(name, [row for row in rows if row.phase == name]) for name in names]


def _training(name: str, rows: list[Epoch]) -> Chart:
    learnt = _finite((row.number, row.train_loss) for row in rows)
    judged = _finite((row.number, row.val_log_loss) for row in rows)
    top = max((y for _, y in (*learnt, *judged)), default=1.0) or 1.0
    told = f"Loss by epoch of phase {name}, {len(rows)} epochs."
    if judged:
        told += f" On validation images from {judged[0][1]:.3f} to {judged[-1][1]:.3f}."
    lines = [
        Line("training loss", "second", learnt, True),
        Line("validation log loss", "first", judged, True),
    ]
    right = max(x for x, _ in (*learnt, *judged, (1.0, 0.0)))
    return Chart(f"Phase {name}", "epoch", "loss", lines, told, right, top)


def _finite(pairs: Iterable[tuple[int, float | None]]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in pairs if y is not None and np.isfinite(y)]


def confidence_charts(evidence: Evidence) -> list[Chart]:
    """The reliability diagram and the risk-coverage curve."""
    probabilities, labels = _scored(evidence)
    if not len(labels):
        return []
    return [_reliability(evidence, probabilities, labels), _risk(probabilities, labels)]


def _reliability(
    evidence: Evidence, probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]
) -> Chart:
    by_path = {item.path: item.group for item in evidence.items}
    groups = group_numbers([by_path.get(answer.path, "") for answer in evidence.answers])
    bins = reliability(probabilities, labels, evidence.metrics["confidence"], groups)
    full = [(b.confidence, b.accuracy) for b in bins if b.confidence is not None]
    points = [(x, score.value) for x, score in full if score.value is not None]
    whiskers = [(x, s.low, s.high) for x, s in full if s.low is not None and s.high is not None]
    error = evidence.metrics["ece"]["value"]
    told = (
        f"Accuracy by confidence, in {len(points)} of {len(bins)} bins; on average they are "
        f"{100 * error:.1f} points apart."
    )
    lines = [Line("as it should be", "chance", _DIAGONAL), Line("seen", "first", points, True)]
    return Chart("Reliability", "confidence", "accuracy", lines, told, whiskers=whiskers)


def _risk(probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> Chart:
    curve = risk_coverage(probabilities, labels)
    points = list(zip(curve.coverage.tolist(), curve.risk.tolist(), strict=True))
    half = curve.risk[(len(labels) - 1) // 2]
    told = (
        f"Share of wrong answers where only the surest are given: {100 * half:.1f} % of the "
        f"surest half, {100 * curve.risk[-1]:.1f} % of all."
    )
    top = float(max(curve.risk.max(), 0.05))
    lines = [Line("wrong", "first", points)]
    return Chart("Risk and coverage", "share answered", "share wrong", lines, told, top=top)


def class_charts(evidence: Evidence) -> list[tuple[str, Chart, Chart]]:
    """Name, ROC and precision-recall curve of the classes that are told apart worst."""
    found = sorted(_curves(evidence), key=lambda each: each[:2])
    return [(name, roc, precision) for _, name, roc, precision in found[:MOST_CLASSES]]


def _curves(evidence: Evidence) -> Iterator[tuple[float, str, Chart, Chart]]:
    probabilities, labels = _scored(evidence)
    for place, name in enumerate(evidence.table.classes):
        own = labels == place
        if own.any() and not own.all():
            area, roc = _roc(name, own, probabilities[:, place])
            yield area, name, roc, _precision_recall(name, own, probabilities[:, place])


def _roc(
    name: str, own: npt.NDArray[np.bool_], shares: npt.NDArray[np.float64]
) -> tuple[float, Chart]:
    false, true, _ = roc_curve(own, shares)
    area = float(roc_auc_score(own, shares))
    lines = [
        Line("guessing", "chance", _DIAGONAL),
        Line("", "first", list(zip(false.tolist(), true.tolist(), strict=True))),
    ]
    told = f"ROC curve of {name}: the area below it is {area:.3f}."
    return area, Chart(f"ROC, area {area:.3f}", "of others, taken for it", "recall", lines, told)


def _precision_recall(
    name: str, own: npt.NDArray[np.bool_], shares: npt.NDArray[np.float64]
) -> Chart:
    precision, recall, _ = precision_recall_curve(own, shares)
    average = float(average_precision_score(own, shares))
    common = float(own.mean())
    lines = [
        Line("guessing", "chance", ((0.0, common), (1.0, common))),
        Line("", "first", list(zip(recall.tolist(), precision.tolist(), strict=True))),
    ]
    told = f"Precision by recall of {name}: the average precision is {average:.3f}."
    title = f"Precision and recall, average {average:.3f}"
    return Chart(title, "recall", "precision", lines, told)


def _scored(
    evidence: Evidence,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Probabilities ``[N, C]`` and class indices ``[N]`` of the answers, in their order."""
    split, classes = evidence.metrics["split"], evidence.table.classes
    index = {name: place for place, name in enumerate(classes)}
    rows = [
        (each.probabilities, index[each.label])
        for each in evidence.table.predictions
        if each.split == split and each.probabilities is not None
    ]
    shares = np.array([row for row, _ in rows]).reshape(-1, len(classes))
    return shares, np.array([label for _, label in rows], dtype=np.int64)
