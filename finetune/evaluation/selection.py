"""Which phase's weights are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from finetune.evaluation.calibration import fit_temperature, log_losses
from finetune.evaluation.clusters import Groups, standard_error
from finetune.text import plural

ENOUGH = 200
"""Images from which on they are enough to choose on: at an accuracy of 0.9 the standard error of
200 images is two points. Fewer have to be surer (`standard_errors_asked`)."""

_SURE = 0.95


@dataclass(frozen=True)
class Comparison:
    """A later phase against the best before it, on the same images.

    Attributes:
        rival: Position of the phase that it has to beat.
        gain: Mean of the rival's log loss less its own, image by image, in nats.
        error: Standard error of that mean, between groups where images come in some; None for
            fewer than two images or groups.
        asked: How many standard errors the gain has to exceed.
    """

    rival: int
    gain: float
    error: float | None
    asked: float

    @property
    def better(self) -> bool:
        """Whether the gain exceeds as many standard errors as are asked for.

        Where all differences are the same (or there is one, or none), they tell nothing of how
        far the gain may be off, and the earlier phase stays.
        """
        return self.error is not None and self.error > 0 and self.gain > self.asked * self.error


@dataclass(frozen=True)
class PhaseChoice:
    """The phase whose weights are kept, and why.

    Attributes:
        kept: Its position.
        reasons: A sentence for each phase.
        log_losses: Each phase's mean log loss after calibration, in nats; empty without images.
        temperatures: What each phase's logits were divided by.
        comparisons: Each later phase against the best before it; one fewer than phases.
    """

    kept: int
    reasons: tuple[str, ...]
    log_losses: tuple[float, ...]
    temperatures: tuple[float, ...]
    comparisons: tuple[Comparison, ...]


def choose_phase(
    logits: Sequence[npt.NDArray[np.floating]],
    labels: npt.NDArray[np.integer],
    names: Sequence[str],
    *,
    judged_on: str,
    weights: npt.NDArray[np.float64] | None = None,
    groups: Groups | None = None,
) -> PhaseChoice:
    """Keep a later phase where its log loss is better by more than a margin.

    The margin is `standard_errors_asked` of so many images.

    Each phase is first calibrated by its own temperature, so that a phase isn't refused for
    confidence that calibration will mend. The temperatures are fitted on the very images that
    judge; with one number for each phase, fitted alike, that favours none of them, but it makes
    the log losses that are told a little too good.

    Args:
        logits: ``[N, C]`` for each phase, first to last, of the same images.
        labels: Class indices ``[N]`` of those images.
        names: The phases' names.
        judged_on: What the images are, for the sentences: ``validation images``.
        weights: What each image counts for, ``[N]``, 1 in the mean; None: all the same.
        groups: The images' groups ``[N]``, of which each tells but once; None: each its own.
    """
    temperatures = tuple(fit_temperature(each, labels, weights) for each in logits)
    counted = 1.0 if weights is None else weights
    losses = [
        counted * log_losses(each, labels, temperature)
        for each, temperature in zip(logits, temperatures, strict=True)
    ]
    independent = len(labels) if groups is None else len(np.unique(groups))
    asked = standard_errors_asked(len(labels), independent)
    comparisons = _compare(losses, groups, asked)
    kept = max([0] + [i for i, each in enumerate(comparisons, 1) if each.better])
    means = tuple(float(each.mean()) for each in losses) if len(labels) else ()
    judged = f"{len(labels):,} {judged_on}"
    judged += "" if groups is None else f" in {plural(independent, 'group')}"
    judged += "" if weights is None else ", all classes counting alike"
    return PhaseChoice(
        kept=kept,
        reasons=_reasons(kept, means, comparisons, names, judged, _errors(asked)),
        log_losses=means,
        temperatures=temperatures,
        comparisons=comparisons,
    )


def standard_errors_asked(images: int, independent: int) -> float:
    """By how many standard errors a later phase has to be better.

    One, judged on `ENOUGH` images or more. On fewer, Student's one-sided 95 % quantile, 1.65 and
    more. The images' spread knows nothing of how far two trainings are apart, and where few images
    judge, few have been learnt from as a rule: of 100 photographs in ten classes, fine-tuned
    weights that were better by 1.2 standard errors lost 20 points of accuracy.

    Args:
        images: How many judge.
        independent: How many groups they are in; of images without groups, as many as images.
    """
    return 1.0 if images >= ENOUGH else float(stdtrit(max(1, independent - 1), _SURE))


def _compare(
    losses: Sequence[npt.NDArray[np.float64]], groups: Groups | None, asked: float
) -> tuple[Comparison, ...]:
    best, comparisons = 0, []
    for position in range(1, len(losses)):
        gains = losses[best] - losses[position]
        mean = float(gains.mean()) if len(gains) else 0.0
        comparison = Comparison(best, mean, standard_error(gains, groups), asked)
        comparisons.append(comparison)
        best = position if comparison.better else best
    return tuple(comparisons)


def _reasons(
    kept: int,
    means: tuple[float, ...],
    comparisons: Sequence[Comparison],
    names: Sequence[str],
    judged: str,
    asked: str,
) -> tuple[str, ...]:
    if len(names) == 1:
        return (f"{names[0]} is kept: it is the only phase.",)
    if not means:
        rest = (f"{name} is not kept: there is nothing to judge it on." for name in names[1:])
        return (f"{names[0]} is kept: there are no images to judge a later phase on.", *rest)
    later = (
        _sentence(position, kept, means, comparison, names, judged, asked)
        for position, comparison in enumerate(comparisons, 1)
    )
    return _first_sentence(kept, means, names, judged, asked), *later


def _first_sentence(
    kept: int, means: tuple[float, ...], names: Sequence[str], judged: str, asked: str
) -> str:
    if kept == 0:
        return (
            f"{names[0]} is kept: no later phase's log loss is better than its {_nats(means[0])} "
            f"by more than {asked} ({judged})."
        )
    return f"{names[0]} gives way to {names[kept]}: its log loss is {_nats(means[0])} ({judged})."


def _sentence(
    position: int,
    kept: int,
    means: tuple[float, ...],
    comparison: Comparison,
    names: Sequence[str],
    judged: str,
    asked: str,
) -> str:
    gain, error = comparison.gain, comparison.error
    rival = f"{names[comparison.rival]}'s {_nats(means[comparison.rival])}"
    verdict = f"gives way to {names[kept]}" if comparison.better else "is not kept"
    verdict = "is kept" if position == kept else verdict
    start = f"{names[position]} {verdict}: its log loss of {_nats(means[position])} is"
    if not error:
        return f"{start} no measurable gain over {rival} ({judged})."
    than = f"{'better' if gain > 0 else 'worse'} than {rival}"
    limit = f", not more than {asked}" if gain > 0 and not comparison.better else ""
    return (
        f"{start} {than} by {_nats(abs(gain))} ± {_nats(error)}{limit} (standard error, {judged})."
    )


def _errors(asked: float) -> str:
    return "one standard error" if asked == 1 else f"{asked:.2f} standard errors"


def _nats(value: float) -> str:
    """Three decimals, or as many as it takes to tell two small losses apart."""
    return f"{value:.3f}" if value >= 0.01 else f"{value:.2g}"
