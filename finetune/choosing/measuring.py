"""What has to be measured before a recipe is chosen: the files, the machine, a quick probe."""

from __future__ import annotations

import os
from contextlib import suppress

import numpy as np
import torch

from finetune.choosing.traits import DataTraits, MachineTraits, ProbeTraits, data_traits
from finetune.console import Reporter
from finetune.data.files.hygiene import check_files
from finetune.data.manifest import Manifest, spread
from finetune.environment import usable_cores
from finetune.evaluation.calibration import Array
from finetune.model.precision import native_bfloat16
from finetune.training.probing import probed
from finetune.training.setting import Setting

PROBED = 5_000
"""Most images that the probe is tried on: its standard error is half a point of accuracy at most,
and more would take longer than they tell."""

_LEAST = 1e-12


def look_at_data(manifest: Manifest, max_pixels: int, reporter: Reporter) -> DataTraits:
    """The traits of the training images; looks that were kept are not made again."""
    train = manifest.part("train")
    looks = check_files(manifest.root, train, max_pixels, reporter).looks
    return data_traits(train, manifest.classes, looks)


def look_at_machine(device: torch.device) -> MachineTraits:
    """The traits of this machine when ``device`` computes."""
    name, memory = "a CPU", _machine_memory()
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        name, memory = properties.name, properties.total_memory
    elif device.type == "mps":
        name = "an Apple GPU"
    return MachineTraits(name, usable_cores(), memory, native_bfloat16(device))


def probe(setting: Setting) -> ProbeTraits:
    """Try a linear probe out of fold on training images, `PROBED` at most.

    Their features go to the store, where the training finds them: no image passes twice.

    Raises:
        TrainingError: As `solve_head`.
    """
    items = spread(setting.manifest.part("train"), PROBED)
    features, labels = setting.pristine_features(items), setting.labels(items)
    classes, groups = len(setting.manifest.classes), [item.group for item in items]
    with setting.reporter.task("trying a linear probe", 1, "probe") as task:
        probabilities = probed(features, labels, classes, groups, setting.recipe.seed)
        task.advance()
    return _probe_traits(probabilities, labels)


def _probe_traits(probabilities: Array, labels: np.ndarray) -> ProbeTraits:
    own = probabilities[np.arange(len(labels)), labels]
    right = probabilities.argmax(1) == labels
    log_loss = -np.log(np.maximum(own, _LEAST)).mean()
    return ProbeTraits(len(labels), float(right.mean()), float(log_loss))


def _machine_memory() -> int:
    """Bytes of the machine's memory; 0 where the system doesn't tell."""
    with suppress(ValueError, OSError, AttributeError):  # no sysconf on Windows
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 0
