from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from finetune.recipe.schema import GradientPhase, LossOptions, Recipe
from finetune.training.criterion import Criterion

COUNTS = np.array([60.0, 30.0, 10.0])
LOGITS = torch.randn((7, 3), generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 2, 1, 0, 0])


def losses(**options: object) -> torch.Tensor:
    criterion = Criterion.of(LossOptions.model_validate(options), COUNTS, torch.device("cpu"))
    return criterion(LOGITS, LABELS)


def test_without_options_it_is_the_cross_entropy() -> None:
    plain = functional.cross_entropy(LOGITS, LABELS, reduction="none")
    assert losses().equal(plain)
    smooth = functional.cross_entropy(LOGITS, LABELS, label_smoothing=0.1, reduction="none")
    assert losses(label_smoothing=0.1).equal(smooth)


def test_images_count_by_their_class() -> None:
    weights = torch.tensor([100 / 180, 100 / 90, 100 / 30])
    assert torch.allclose(losses(class_weights="balanced"), losses() * weights[LABELS])


def test_the_prior_is_added_while_learning() -> None:
    prior = torch.tensor([0.6, 0.3, 0.1]).log()
    adjusted = functional.cross_entropy(LOGITS + 1.5 * prior, LABELS, reduction="none")
    assert torch.allclose(losses(logit_adjustment=1.5), adjusted)


def phase(**options: object) -> dict[str, object]:
    return {"name": "p", "train": "all", "epochs": 1, **options}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"loss": {"class_weights": "sqrt"}, "sampling": "balanced"}, "give one of them"),
        ({"loss": {"class_weights": "sqrt", "logit_adjustment": 1}}, "give one of them"),
        ({"epoch_images": 10}, "only with sampling: balanced"),
    ],
)
def test_what_would_count_rare_classes_twice_is_refused(
    options: dict[str, object], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        GradientPhase.model_validate(phase(**options))


def test_a_prior_is_taken_out_once_and_phases_are_judged_by_what_they_are_for() -> None:
    def recipe(evaluate: float, **options: object) -> Recipe:
        return Recipe.model_validate(
            {"name": "r", "phases": [phase(**options)], "evaluate": {"logit_adjustment": evaluate}}
        )

    balanced = {"loss": {"class_weights": "balanced"}}
    with pytest.raises(ValueError, match=r"phases\.p\.loss\.class_weights each make"):
        recipe(1.0, **balanced)
    assert recipe(0.0, **balanced).judged_balanced
    assert not recipe(1.0).judged_balanced
