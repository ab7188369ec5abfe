"""A learning curve as it is traced: trainings on ever more images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from finetune.data.manifest import Item
from finetune.evaluation.bootstrap import resample
from finetune.evaluation.calibration import log_losses
from finetune.evaluation.clusters import Groups, effective_size, group_numbers
from finetune.evaluation.intervals import Score, at_least_as_wide, effective_wilson
from finetune.evaluation.power_law import forecast
from finetune.experiments.directory import FoldDirectory
from finetune.experiments.learning_curve import MORE, LearningCurve, Point
from finetune.experiments.side_by_side import side_by_side, solved_at_once
from finetune.experiments.subsets import nested_subset
from finetune.experiments.trial import Outcome, Trial, is_solved, run_trial, trial_of
from finetune.recipe.schema import SolverPhase
from finetune.training.setting import Setting


@dataclass(frozen=True)
class CurveTracing:
    """A learning curve that is about to be traced.

    Attributes:
        setting: What its trainings share.
        pool: The images to learn from.
        judged: The images that judge all trainings.
        sizes: Images of each class, rising.
        repeats: Draws of each size.
        folder: Where trainings keep their files meanwhile.
    """

    setting: Setting
    pool: tuple[Item, ...]
    judged: tuple[Item, ...]
    sizes: tuple[int, ...]
    repeats: int
    folder: Path

    def trials(self) -> Iterator[tuple[int, int, Trial]]:
        """Repeat, place of the size, and training; all images are drawn in one way only."""
        recipe = self.setting.recipe
        for repeat in range(self.repeats):
            for place, size in enumerate(self.sizes):
                items = nested_subset(self.pool, size, recipe.seed, repeat)
                if repeat == 0 or len(items) < len(self.pool):
                    name = f"{repeat + 1}-{size}"
                    trial = trial_of(name, items, self.judged, recipe.data, recipe.seed)
                    yield repeat, place, trial

    def run(self) -> LearningCurve:
        """Train on all subsets.

        Raises:
            TrainingError: A phase's loss is no longer a number.
        """
        planned = list(self.trials())
        outcomes = self._outcomes([trial for _, _, trial in planned])
        labels = self.setting.labels(self.judged)
        right = np.full((self.repeats, len(self.sizes), len(labels)), np.nan)
        losses = np.full_like(right, np.nan)
        for (repeat, place, _), outcome in zip(planned, outcomes, strict=True):
            right[repeat, place] = outcome.logits.argmax(1) == labels
            losses[repeat, place] = log_losses(outcome.logits, labels, outcome.temperature)
        for array in (right, losses):  # all images: every repeat would be the first
            missing = np.isnan(array[:, -1, 0])
            array[missing, -1] = array[0, -1]
        return self._curve(right, losses, labels)

    def _outcomes(self, trials: Sequence[Trial]) -> list[Outcome]:
        setting = self.setting
        if isinstance(setting.recipe.phases[0], SolverPhase):
            setting.pristine_features([*self.pool, *self.judged])
        if not is_solved(setting.recipe):
            return [self._told(trial) for trial in trials]
        with setting.reporter.task("Learning curve", len(trials), "trainings") as task:
            works = [partial(self._trained, trial) for trial in trials]
            return side_by_side(works, solved_at_once(setting, self.pool), task)

    def _told(self, trial: Trial) -> Outcome:
        self.setting.reporter.say(f"{trial.name}: {len(trial.learnt):,} images to learn from.")
        return self._trained(trial)

    def _trained(self, trial: Trial) -> Outcome:
        return run_trial(self.setting, trial, FoldDirectory(self.folder / trial.name))

    def _curve(self, right: np.ndarray, losses: np.ndarray, labels: np.ndarray) -> LearningCurve:
        evaluate = self.setting.recipe.evaluate
        sizes = np.array([self._per_class(size) for size in self.sizes])
        drawn = [self._drawn(values, labels) for values in (right, losses)]
        means = [values.mean((0, 2)) for values in (right, losses)]
        spans = [
            _spans(mean, each, evaluate.confidence) for mean, each in zip(means, drawn, strict=True)
        ]
        forecasts = [
            forecast(sizes, mean, each, MORE, sign=sign, best=best, confidence=evaluate.confidence)
            for mean, each, sign, best in zip(means, drawn, (1.0, -1.0), (1.0, 0.0), strict=True)
        ]
        points = (
            Point(
                size=size,
                images=self._images(size),
                per_class=float(sizes[i]),
                accuracy=self._with_floor(spans[0][i], right[:, i] == 1),
                log_loss=spans[1][i],
            )
            for i, size in enumerate(self.sizes)
        )
        return LearningCurve(
            points=tuple(points),
            accuracy=forecasts[0],
            log_loss=forecasts[1],
            repeats=self.repeats,
            judged=len(labels),
            confidence=evaluate.confidence,
        )

    def _drawn(self, values: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Means ``[S, B]`` over repeats and test images, both drawn with replacement."""
        recipe = self.setting.recipe
        generator = np.random.default_rng(recipe.seed)
        parts = []
        for counts in resample(labels, recipe.evaluate.bootstrap, recipe.seed, self._groups):
            chance = np.full(self.repeats, 1 / self.repeats)
            repeats = generator.multinomial(self.repeats, chance, size=counts.shape[1])
            by_repeat = np.stack([each @ counts for each in values]) / counts.sum(0)  # [R, S, B]
            parts.append(np.einsum("rsb,br->sb", by_repeat, repeats) / self.repeats)
        return np.concatenate(parts, axis=1)

    @cached_property
    def _groups(self) -> Groups | None:
        return group_numbers([item.group for item in self.judged])

    def _with_floor(self, score: Score, right: np.ndarray) -> Score:
        """An accuracy's interval, no narrower than that of the test images alone.

        ``right`` says of each repeat's answers, ``[R, N]``, which are.
        """
        assert score.value is not None
        level = self.setting.recipe.evaluate.confidence
        worth = float(np.mean([effective_size(each, self._groups, level) for each in right]))
        return at_least_as_wide(score, effective_wilson(score.value, worth, level), 1.0)

    def _images(self, size: int) -> int:
        return len(nested_subset(self.pool, size, self.setting.recipe.seed, 0))

    def _per_class(self, size: int) -> float:
        return self._images(size) / len({item.label for item in self.pool})


def _spans(means: np.ndarray, drawn: np.ndarray, confidence: float) -> list[Score]:
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    return [
        Score(float(m), float(min(a, m)), float(max(b, m)))
        for m, a, b in zip(means, low, high, strict=True)
    ]
