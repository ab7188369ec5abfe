"""The peak rate of a phase, chosen in short trainings on the images themselves.

Each rung trains its rates from the weights that the phase begins with, as the phase would: on the
same batches and views, with the whole schedule, warm-up and fall, pressed into the rung's length.
Compared in the midst of a long schedule, where rates are still high, low ones look better than
they end (Wu et al. 2018, short-horizon bias); how good a short training can be is seen where its
schedule ends with it (Li, Yumer & Ramanan 2020, budgeted training). So no rate needs anything of
the rung before, and what an interrupted race keeps is a number for each.

The first fit of a run that comes to the phase holds the race, on images that it doesn't learn
from; all fits take its winner.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import nn

from finetune.data.manifest import Item
from finetune.errors import RecipeError, TrainingError
from finetune.evaluation.calibration import fit_temperature, log_losses
from finetune.recipe.schema import GradientPhase
from finetune.text import plural
from finetune.training.balance import image_weights
from finetune.training.checkpoints import PhaseStore, phase_store
from finetune.training.halving import Rung, rungs_of, survivors
from finetune.training.setting import Fit, Setting
from finetune.training.trainee import Trainee


@dataclass(frozen=True)
class Lap:
    """What a rate did in a rung.

    Attributes:
        rung: From 1.
        rate: The peak rate.
        steps: Optimiser steps, from the weights that the phase begins with.
        images: Images that passed in them.
        log_loss: Afterwards, calibrated, in nats; None where it is no number.
        dropped: Whether it took no part in the next rung, and did not win.
    """

    rung: int
    rate: float
    steps: int
    images: int
    log_loss: float | None
    dropped: bool


def settled(
    setting: Setting, fit: Fit, model: nn.Module, phase: GradientPhase, position: int
) -> GradientPhase:
    """``phase`` at the rate that won its race; the race is held where it has not been yet.

    Args:
        setting: What the run's fits share.
        fit: The fit that comes to the phase.
        model: The network as the phase begins with it; it stays as it is.
        phase: The phase; one with a rate is given back as it is.
        position: Its place in the recipe, from 0.

    Raises:
        TrainingError: No rate gives a loss that is a number.
        RecipeError: There is nothing to compare rates on, or too little time to.
    """
    if not phase.optimizer.raced:
        return phase
    store = _race_store(setting, position)
    if not store.finished:
        store.finish(_Race(setting, fit, model, phase, position).held(), {})
    return phase.at(store.record()["won"])


def race_record(setting: Setting, position: int) -> dict[str, Any] | None:
    """What ``phases.json`` tells of the race of the phase at ``position``, if one was held."""
    store = _race_store(setting, position)
    return store.record() if store.finished else None


def _race_store(setting: Setting, position: int) -> PhaseStore:
    return phase_store(setting.checkpoints, "race", position, setting.recipe.phases[position].name)


class _Race:
    """One race, from all rates to the one that is left."""

    def __init__(
        self, setting: Setting, fit: Fit, model: nn.Module, phase: GradientPhase, position: int
    ) -> None:
        self.setting, self.fit, self.model = setting, fit, model
        self.phase, self.position = phase, position
        self.rungs = rungs_of(phase, len(fit.train))
        self.judged = _unseen(fit)
        self.seconds = 0.0

    def held(self) -> dict[str, Any]:
        """Hold it; what is told of it."""
        rates, laps = list(self.phase.optimizer.raced), list[Lap]()
        if not self.judged:
            raise _nothing_to_compare_on(self.phase)
        for number, rung in enumerate(self.rungs, 1):
            losses = {rate: self._loss(number, rung, rate) for rate in rates}
            left = survivors(losses)
            laps += [_lap(number, rung, rate, losses[rate], rate in left) for rate in rates]
            rates = left
        if laps[-1].log_loss is None and laps[-2].log_loss is None:
            raise _all_ran_away(self.phase)
        self._tell(rates[0], laps)
        return {
            "won": rates[0],
            "judged_images": len(self.judged),
            "seconds": round(self.seconds, 3),
            "laps": [asdict(lap) for lap in laps],
        }

    def _loss(self, number: int, rung: Rung, rate: float) -> float:
        """The log loss of ``rate`` after a rung; taken from what an interrupted race left."""
        name = f"race-{number}-{rate!r}"
        store = phase_store(self.setting.checkpoints, name, self.position, self.phase.name)
        if not store.finished:
            fit = Fit(name, self.fit.train, self.judged, ())
            store.finish({"log_loss": self._tried(fit, rung, rate, store)}, {})
        self.seconds += self.setting.log.seconds(name, self.phase.name)
        loss = store.record()["log_loss"]
        return math.inf if loss is None else float(loss)

    def _tried(self, fit: Fit, rung: Rung, rate: float, store: PhaseStore) -> float | None:
        from finetune.training.fit import fit_phase  # brings Lightning, which takes seconds

        changed = {
            "epochs": None,
            "steps": rung.steps,
            "early_stopping": None,
            "interpolate": False,  # of what a rate has learnt, all is compared
        }
        phase = self.phase.at(rate).model_copy(update=changed)
        trainee = Trainee.of(copy.deepcopy(self.model), phase, self.position)
        try:
            end = fit_phase(self.setting, fit, trainee, store.running)
        except TrainingError:  # it ran away
            return None
        return self._log_loss(end.judged)

    def _log_loss(self, logits: np.ndarray) -> float | None:
        """As phases are compared: after calibration, and balanced where they are judged so."""
        if not np.isfinite(logits).all():
            return None
        labels = self.setting.labels(self.judged)
        balanced = self.setting.recipe.judged_balanced
        weights = image_weights(labels, "balanced") if balanced else np.ones(len(labels))
        temperature = fit_temperature(logits, labels, weights)
        return float((weights * log_losses(logits, labels, temperature)).mean())

    def _tell(self, won: float, laps: Sequence[Lap]) -> None:
        rates, name = self.phase.optimizer.raced, self.phase.name
        header = ["rate", *(f"after {rung.images:,} images" for rung in self.rungs)]
        found = {(lap.rate, lap.rung): _shown(lap.log_loss) for lap in laps}
        numbers = range(1, len(self.rungs) + 1)
        rows = [[f"{rate:g}", *(found.get((rate, n), "–") for n in numbers)] for rate in rates]
        title = f"Race for the rate of {name}: log loss on {plural(len(self.judged), 'image')}"
        self.setting.reporter.table(title, header, rows)
        self.setting.reporter.say(f"The rate of {name} is {won:g}.{_at_the_edge(won, rates)}")


def _unseen(fit: Fit) -> Sequence[Item]:
    """All images that ``fit`` doesn't learn from: what judges it, and what its epochs watch."""
    if fit.judged is fit.monitor:
        return fit.judged
    return [*fit.judged, *fit.monitor]


def _lap(number: int, rung: Rung, rate: float, loss: float, left: bool) -> Lap:
    told = loss if math.isfinite(loss) else None
    return Lap(number, rate, rung.steps, rung.images, told, dropped=not left)


def _shown(loss: float | None) -> str:
    return "no number" if loss is None else f"{loss:.4f}"


def _at_the_edge(won: float, rates: Sequence[float]) -> str:
    if won == rates[0]:
        return " It is the lowest that took part: a lower one may do better."
    if won == rates[-1]:
        return " It is the highest that took part: a higher one may do better."
    return ""


def _nothing_to_compare_on(phase: GradientPhase) -> RecipeError:
    return RecipeError(
        "there are no images to compare rates on",
        where=f"phases.{phase.name}.optimizer.lr.race",
        mend="Give data.val a share above 0, or name one rate.",
    )


def _all_ran_away(phase: GradientPhase) -> TrainingError:
    lower = phase.optimizer.raced[0] / 10
    return TrainingError(
        f"no rate of the race of phase {phase.name} gives a loss that is a number",
        mend=f"Lower its rate: --set phases.{phase.name}.optimizer.lr={lower:g}",
    )
