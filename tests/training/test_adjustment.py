"""A prior that is taken out after training is part of what is shipped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

import finetune
from finetune.console import Silent
from finetune.training.balance import log_prior

BASE = ["model.backbone=test_resnet", "input.size=32", "data.workers=0", "precision=float32"]


@pytest.mark.parametrize("recipe", ["linear_probe", "full_finetune"])
def test_the_shipped_bias_takes_the_prior_out(
    photos: Callable[..., Path], tmp_path: Path, recipe: str
) -> None:
    data = photos({"red": 60, "green": 12}, noise=130)
    more = ["phases.tune.epochs=1"] if recipe == "full_finetune" else []

    def train(name: str, tau: float) -> finetune.Run:
        return finetune.train(
            data, recipe, overrides=[*BASE, *more, f"evaluate.logit_adjustment={tau}"],
            weights="none", out=tmp_path / name, reporter=Silent(),
        )  # fmt: skip

    plain, adjusted = train("plain", 0.0), train("adjusted", 1.0)
    weights = [load_file(run.path / "model" / "model.safetensors") for run in (plain, adjusted)]
    assert weights[0]["fc.weight"].equal(weights[1]["fc.weight"])
    temperature = plain.phases["temperature"]
    assert adjusted.phases["temperature"] == temperature
    table = pd.read_csv(plain.path / "data.csv").query("split == 'train'")
    counts = table["label"].value_counts().reindex(["green", "red"]).to_numpy(float)
    moved = (weights[1]["fc.bias"] - weights[0]["fc.bias"]).numpy()
    assert moved == pytest.approx(-temperature * log_prior(counts), rel=1e-4)
    ours, theirs = (
        pd.read_csv(run.path / "predictions.csv").filter(like="p:").to_numpy()
        for run in (adjusted, plain)
    )
    expected = theirs / np.exp(log_prior(counts))
    assert np.allclose(ours, expected / expected.sum(1, keepdims=True), atol=1e-4)
