"""What networks that only predict compute in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter

import torch

from finetune.data.manifest import PARTS, Item, spread
from finetune.features.body import BFLOAT16, FLOAT32, fastest_format
from finetune.features.form import Form
from finetune.features.frozen import FrozenOutputs, about
from finetune.model.head import classifier
from finetune.model.precision import native_bfloat16
from finetune.model.stages import HEAD
from finetune.training.setting import Setting

_SAMPLE = 16
"""Images that number formats are compared on."""


def with_number_format(setting: Setting) -> Setting:
    """``setting`` with shorter numbers for inference, if that changes the features little.

    What both formats make of the sample is kept in the store: asked again, no image is passed. The
    sample is of all parts, so that it is the same for each seed; no label is looked at.
    """
    sample = spread(_by_digest(setting), _SAMPLE)
    if setting.precision == FLOAT32 or len(sample) < 2 or not native_bfloat16(setting.device):
        return setting
    exact, fast = (_features(setting, sample, each) for each in (FLOAT32, BFLOAT16))
    chosen = fastest_format(exact, fast)
    if chosen == FLOAT32:
        setting.reporter.say(
            "Features and predictions are computed in float32: bfloat16 would change this "
            "network's features too much."
        )
    return replace(setting, inference=chosen)


def _by_digest(setting: Setting) -> list[Item]:
    items = (item for part in PARTS for item in setting.manifest.part(part))
    return sorted(items, key=attrgetter("digest", "path"))


def _features(setting: Setting, sample: Sequence[Item], number_format: str) -> torch.Tensor:
    """Features ``[N, D]`` of the sample; on a shelf of their own, being passed in other batches."""
    model = setting.pristine
    described = about(model, HEAD, setting.spec, setting.device, number_format) | {"sample": True}
    form = Form((classifier(model).in_features,), number_format)
    return FrozenOutputs(setting.shelf(described), form).always(
        [item.digest for item in sample],
        lambda chosen: setting.fresh_features([sample[n] for n in chosen], number_format),
    )
