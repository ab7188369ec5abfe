"""One training among several: the whole procedure of a recipe on some of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from finetune.console import Silent
from finetune.data.manifest import Item, Manifest
from finetune.data.parts.filling import Shares
from finetune.data.parts.splitting import split
from finetune.evaluation.prediction import answers
from finetune.experiments.directory import FoldDirectory
from finetune.recipe.schema import DataOptions, Recipe, SolverPhase
from finetune.training.course import Trained, run_course
from finetune.training.log import Log
from finetune.training.phases import body_is_pristine
from finetune.training.setting import Setting


@dataclass(frozen=True)
class Trial:
    """What one training learns from, and what judges it.

    Attributes:
        name: What it is called.
        learnt: Images that it may learn from and choose on, with their parts ``train``, ``val``.
        judged: Images that it never sees.
    """

    name: str
    learnt: tuple[Item, ...]
    judged: tuple[Item, ...]

    @property
    def validation(self) -> int:
        """How many images choices are made on."""
        return sum(item.split == "val" for item in self.learnt)


@dataclass(frozen=True)
class Outcome:
    """What a training came to.

    Attributes:
        logits: Its answers to the images that judge it, float32 ``[M, C]``.
        temperature: What they are divided by.
        phases: The contents of a run's ``phases.json``.
    """

    logits: np.ndarray
    temperature: float
    phases: dict[str, Any]


def trial_of(
    name: str, learnt: Sequence[Item], judged: Sequence[Item], options: DataOptions, seed: int
) -> Trial:
    """The trial of these images; ``data.val`` of those to learn from are what choices are made on.

    They are chosen as `finetune train` would: stratified, and no group on both sides.
    """
    shares = Shares(options.val, 0.0)
    parts = split(learnt, shares, stratify=options.stratify, seed=seed)
    divided = (replace(item, split=part) for item, part in zip(learnt, parts, strict=True))
    tested = (replace(item, split="test") for item in judged)
    return Trial(name, tuple(divided), tuple(tested))


def is_solved(recipe: Recipe) -> bool:
    """Whether its trainings take seconds, as each image passes through the network only once."""
    return all(isinstance(phase, SolverPhase) and phase.views == 1 for phase in recipe.phases)


def with_images(setting: Setting, items: Sequence[Item]) -> Setting:
    """``setting`` with other images; the classes stay, and features that are known are shared."""
    manifest = Manifest(setting.manifest.root, setting.manifest.classes, tuple(items))
    return replace(setting, manifest=manifest)


def run_trial(setting: Setting, trial: Trial, place: FoldDirectory) -> Outcome:
    """Train and judge; what is finished in ``place`` is taken from there.

    Raises:
        TrainingError: A phase's loss is no longer a number.
    """
    if not place.finished:
        own = replace(
            with_images(setting, [*trial.learnt, *trial.judged]),
            recipe=_that_always_answers(setting.recipe),
            checkpoints=place.checkpoints,
            log=Log(place.log),
            reporter=Silent() if is_solved(setting.recipe) else setting.reporter,
        )
        trained = run_course(own)
        place.finish(trained.phases, _judged(own, trained, trial.judged))
    phases, logits = place.result()
    return Outcome(logits, phases["temperature"], phases)


def _that_always_answers(recipe: Recipe) -> Recipe:
    """``recipe`` without what `finetune.training.abstaining` fits: no trial is asked to abstain."""
    rules = dict.fromkeys(("precision", "coverage", "unlike"))
    return recipe.model_copy(update={"evaluate": recipe.evaluate.model_copy(update=rules)})


def _judged(setting: Setting, trained: Trained, items: Sequence[Item]) -> np.ndarray:
    """Logits ``[M, C]``; from known features where the network's body is still as pretrained."""
    names = [phase.name for phase in setting.recipe.phases]
    if body_is_pristine(setting, names.index(trained.phases["kept"]) + 1):
        return answers(trained.model, setting.pristine_features(items))
    return setting.logits(trained.model, items, "judging")
