"""Cross-validation: the whole procedure of a recipe, repeated on folds of the images.

Each training is as honest as a single one: it has its own validation part, its own choice of
regularisation, phase and temperature, all made among the images outside its fold. What they
share is what no label has shaped, the pretrained network's features, and what was decided once:
a recipe that is chosen for DATA, and ``input.mirror: auto``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from finetune.data.fixes import write_fixes
from finetune.data.manifest import Item
from finetune.evaluation.calibration import softmax
from finetune.evaluation.clusters import group_numbers
from finetune.evaluation.cross_validated import CrossValidatedScores, JudgedFold
from finetune.evaluation.table import Prediction, write_predictions
from finetune.experiments.directory import ExperimentDirectory
from finetune.experiments.folds import Fold
from finetune.experiments.side_by_side import side_by_side, solved_at_once
from finetune.experiments.trial import Outcome, is_solved, run_trial, with_images
from finetune.files import write_json
from finetune.inspection.suspects import suspect_fixes, suspects
from finetune.recipe.schema import SolverPhase
from finetune.text import duration, plural
from finetune.training.estimate import Estimate, estimate
from finetune.training.preview import show_stages
from finetune.training.setting import Setting


@dataclass(frozen=True)
class CrossValidating:
    """A cross-validation that is about to be done, or gone on with.

    Attributes:
        setting: What its trainings share.
        pool: All images that take part, sorted by path.
        folds: Its trainings.
        directory: Where it is kept.
    """

    setting: Setting
    pool: tuple[Item, ...]
    folds: tuple[Fold, ...]
    directory: ExperimentDirectory

    def run(self) -> None:
        """Train on all folds, those apart that are finished, and write the scores.

        Raises:
            TrainingError: A phase's loss is no longer a number.
        """
        outcomes = self._outcomes()
        judged = [self._judged(f, o) for f, o in zip(self.folds, outcomes, strict=True)]
        self._write_answers(judged)
        self._write_fixes(judged)
        write_json(self.directory.scores, self._scores(judged, outcomes))

    def show(self) -> None:
        """Show what trains in each of the trainings, and how long all will take."""
        trial = self.folds[0].trial
        first = with_images(self.setting, [*trial.learnt, *trial.judged])
        show_stages(first)
        one = estimate(first)
        self.setting.reporter.say(self._time(one, len(trial.learnt)))

    def _time(self, one: Estimate, learnt: int) -> str:
        left = [f for f in self.folds if not self.directory.fold(f.repeat, f.number).finished]
        features = one.features * len(self.pool) / learnt
        scoring = 0.0 if is_solved(self.setting.recipe) else one.scoring
        each = sum(one.phases) + one.judging + one.racing + scoring
        return (
            f"About {duration(features + len(left) * each)} on {self.setting.device}: "
            f"{len(left)} trainings of {duration(each)}, and features {duration(features)}."
        )

    def _outcomes(self) -> list[Outcome]:
        recipe, reporter = self.setting.recipe, self.setting.reporter
        if isinstance(recipe.phases[0], SolverPhase):
            self.setting.pristine_features(self.pool)  # at once, with one progress bar
        if not is_solved(recipe):
            return [self._told(fold) for fold in self.folds]
        with reporter.task("Cross-validation", len(self.folds), "trainings") as task:
            works = [partial(self._trained, fold) for fold in self.folds]
            return side_by_side(works, solved_at_once(self.setting, self.pool), task)

    def _told(self, fold: Fold) -> Outcome:
        self.setting.reporter.say(
            f"Repeat {fold.repeat}, fold {fold.number}: {len(fold.trial.learnt):,} images to learn "
            f"from, {len(fold.trial.judged):,} to judge."
        )
        return self._trained(fold)

    def _trained(self, fold: Fold) -> Outcome:
        return run_trial(self.setting, fold.trial, self.directory.fold(fold.repeat, fold.number))

    def _judged(self, fold: Fold, outcome: Outcome) -> JudgedFold:
        labels = self.setting.labels(fold.trial.learnt)
        return JudgedFold(
            repeat=fold.repeat,
            fold=fold.number,
            positions=fold.positions,
            logits=outcome.logits,
            temperature=outcome.temperature,
            learnt=len(fold.trial.learnt),
            majority=int(np.bincount(labels).argmax()),
        )

    def _scores(self, judged: Sequence[JudgedFold], outcomes: Sequence[Outcome]) -> dict[str, Any]:
        recipe = self.setting.recipe
        scores = CrossValidatedScores(
            labels=self.setting.labels(self.pool),
            classes=self.setting.manifest.classes,
            confidence=recipe.evaluate.confidence,
            resamples=recipe.evaluate.bootstrap,
            seed=recipe.seed,
            groups=group_numbers([item.group for item in self.pool]),
        ).of(judged)
        for fold, outcome in zip(scores["by_fold"], outcomes, strict=True):
            fold |= {"kept": outcome.phases["kept"], "temperature": outcome.temperature}
        return scores

    def _write_fixes(self, judged: Sequence[JudgedFold]) -> None:
        """A row for each image whose label is doubtful, by the mean of what the repeats say."""
        classes, repeats = self.setting.manifest.classes, max(fold.repeat for fold in judged)
        mean = np.zeros((len(self.pool), len(classes)))
        for fold in judged:
            mean[fold.positions] += softmax(fold.logits, fold.temperature) / repeats
        groups = group_numbers([item.group for item in self.pool])
        found = suspects(mean, self.setting.labels(self.pool), classes, groups)
        write_fixes(self.directory.fixes, suspect_fixes(found, self.pool))
        if found:
            labels = plural(len(found), "label is", "labels are")
            self.setting.reporter.say(f"{labels} doubtful: {self.directory.fixes.name} has them.")

    def _write_answers(self, judged: Sequence[JudgedFold]) -> None:
        """`out_of_fold.csv`: a row for each image and repeat, sorted by repeat and path."""
        cells = sorted(
            (fold.repeat, int(position), fold.fold, row)
            for fold in judged
            for position, row in zip(fold.positions, range(len(fold.positions)), strict=True)
        )
        shares = {(f.repeat, f.fold): softmax(f.logits, f.temperature) for f in judged}
        rows = [
            Prediction(
                path=self.pool[position].path,
                split="out-of-fold",
                label=self.pool[position].label,
                probabilities=shares[repeat, fold][row],
            )
            for repeat, position, fold, row in cells
        ]
        more = {
            "fold": [str(cell[2]) for cell in cells],
            "repeat": [str(cell[0]) for cell in cells],
        }
        write_predictions(self.directory.out_of_fold, rows, self.setting.manifest.classes, more)
