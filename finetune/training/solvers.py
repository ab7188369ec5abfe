"""The solvers of a solver phase, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finetune.recipe.schema import SolverPhase
from finetune.training.cosine import refit_cosine, solve_cosine
from finetune.training.heads import Shipped, SolvedHead
from finetune.training.prototype import refit_prototypes, solve_prototypes
from finetune.training.solver import refit_head, solve_head


@dataclass(frozen=True)
class Examples:
    """What a head is solved on.

    Attributes:
        features: What it sees of each view of each image, ``[V, N, D]``; the first view is judged.
        labels: Class indices ``[N]``.
        num_classes: C.
        groups: A name for each image; images of a group stay in one fold. None: no groups.
    """

    features: npt.NDArray[np.floating]
    labels: npt.NDArray[np.integer]
    num_classes: int
    groups: Sequence[str] | None = None


@dataclass(frozen=True)
class Solver:
    """A way to solve a head.

    Attributes:
        chooses: The one number that its folds choose, by the name that it has in ``phases.json``.
        solve: The head of a phase, with its out-of-fold logits; the last argument is the seed of
            the folds.
        refit: The same at a number that was chosen, without folds.
    """

    chooses: str
    solve: Callable[[Examples, SolverPhase, int], SolvedHead]
    refit: Callable[[Examples, SolverPhase, float], Shipped]


def _regression(solve: Callable[..., SolvedHead], refit: Callable[..., Shipped]) -> Solver:
    """One of a strength ``l2``, in which classes may be weighted."""

    def solved(given: Examples, phase: SolverPhase, seed: int) -> SolvedHead:
        return solve(
            given.features,
            given.labels,
            given.num_classes,
            l2=phase.l2,
            folds=phase.folds,
            seed=seed,
            groups=given.groups,
            class_weights=phase.loss.class_weights,
        )

    def refitted(given: Examples, phase: SolverPhase, l2: float) -> Shipped:
        weights = phase.loss.class_weights
        return refit(given.features, given.labels, given.num_classes, l2=l2, class_weights=weights)

    return Solver("l2", solved, refitted)


def _solved_prototypes(given: Examples, phase: SolverPhase, seed: int) -> SolvedHead:
    return solve_prototypes(
        given.features,
        given.labels,
        given.num_classes,
        folds=phase.folds,
        seed=seed,
        groups=given.groups,
    )


def _refitted_prototypes(given: Examples, _: SolverPhase, scale: float) -> Shipped:
    return refit_prototypes(given.features, given.labels, given.num_classes, scale=scale)


SOLVERS: dict[str, Solver] = {
    "lbfgs": _regression(solve_head, refit_head),
    "prototype": Solver("scale", _solved_prototypes, _refitted_prototypes),
    "cosine": _regression(solve_cosine, refit_cosine),
}
"""What `SolverPhase.solver` names."""
