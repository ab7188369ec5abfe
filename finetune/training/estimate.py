"""How long a training will take, from a few timed batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finetune.data.manifest import Item
from finetune.recipe.schema import GradientPhase, SolverPhase
from finetune.training.halving import rungs_of
from finetune.training.interpolating import SHARES
from finetune.training.judging import folds_of, wants_folds
from finetune.training.length import epochs_begun, images_seen
from finetune.training.phases import body_is_pristine
from finetune.training.setting import Setting
from finetune.training.timing import Cost, Passing, phase_cost

_SOLVER_SECONDS = 2.0


@dataclass(frozen=True)
class Estimate:
    """Seconds that a training will take.

    Attributes:
        phases: Seconds for each phase of the main fit, with its validation.
        judging: Seconds for the fits on folds that choose between phases.
        racing: Seconds for the races that choose rates.
        features: Seconds to pass every image through the frozen network once.
        scoring: Seconds to score the test part.
        quicker: Seconds that ``linear_probe`` would take.
    """

    phases: tuple[float, ...]
    judging: float
    racing: float
    features: float
    scoring: float
    quicker: float

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self.phases) + self.judging + self.racing + self.features + self.scoring


def estimate(setting: Setting) -> Estimate:
    """Time a few batches of each kind on copies of the network; nothing of ``setting`` changes.

    Raises:
        RecipeError: A phase is too short for the race of its rates.
    """
    train, validation = setting.manifest.part("train"), setting.manifest.part("val")
    test = setting.manifest.part("test")
    passing = Passing(setting)
    costs = [
        phase_cost(setting, phase, train, passing, pristine=body_is_pristine(setting, position))
        for position, phase in enumerate(setting.recipe.phases)
    ]
    phases = tuple(
        _phase_seconds(phase, len(train), len(validation), cost) + cost.once
        for phase, cost in zip(setting.recipe.phases, costs, strict=True)
    )
    once = passing.seconds(_missing(setting, [*train, *validation]))
    scoring = passing.seconds(_missing(setting, test))
    solved = [isinstance(phase, SolverPhase) for phase in setting.recipe.phases]
    co_tuned = any(
        isinstance(phase, GradientPhase) and phase.co_tuning for phase in setting.recipe.phases
    )
    return Estimate(
        phases=phases,
        judging=_judging_seconds(setting, train, len(validation), costs),
        racing=_racing_seconds(setting, train, len(validation), costs),
        features=once if any(solved) or co_tuned else 0.0,
        scoring=scoring if all(solved) else passing.seconds(len(test)),
        quicker=once + scoring + _SOLVER_SECONDS,
    )


def _missing(setting: Setting, items: Sequence[Item]) -> int:
    return setting.frozen.missing([item.digest for item in items])


def _phase_seconds(phase: object, images: int, validation: int, cost: Cost) -> float:
    if not isinstance(phase, GradientPhase):
        return _SOLVER_SECONDS
    scored = epochs_begun(phase, images) * validation
    if phase.interpolate:
        scored += len(SHARES) * validation
        scored += (len(SHARES) - 1) * images if phase.batch_norm == "train" else 0
    return images_seen(phase, images) * cost.step + scored * cost.scoring


def _judging_seconds(
    setting: Setting, train: Sequence[Item], validation: int, costs: Sequence[Cost]
) -> float:
    recipe = setting.recipe
    if not wants_folds(recipe, validation):
        return 0.0
    return sum(
        _phase_seconds(phase, len(learn), validation, cost) + len(judge) * cost.scoring
        for learn, judge in folds_of(setting, train)
        for phase, cost in zip(recipe.phases, costs, strict=True)
    )


def _racing_seconds(
    setting: Setting, train: Sequence[Item], validation: int, costs: Sequence[Cost]
) -> float:
    """The race is held by the first fit, on all images that it doesn't learn from."""
    learnt, judged = len(train), validation
    if wants_folds(setting.recipe, validation) and (folds := folds_of(setting, train)):
        learnt, judged = len(folds[0][0]), len(folds[0][1]) + validation
    return sum(
        rung.rates * (rung.images * cost.step + judged * cost.scoring)
        for phase, cost in zip(setting.recipe.phases, costs, strict=True)
        if isinstance(phase, GradientPhase)
        for rung in rungs_of(phase, learnt)
    )
