"""The classifier on disk: weights, architecture, preprocessing, classes, temperature, abstention.

A bundle is the folder ``model`` of a run directory. ``config.json`` and ``model.safetensors`` are
timm's own layout (``timm.create_model("local-dir:...", pretrained=True)``); ``preprocessing.json``
holds what timm does not know; `finetune.deploy.abstaining` keeps when not to answer.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from finetune.data.input_spec import InputSpec
from finetune.deploy.abstaining import read_abstention, write_abstention
from finetune.errors import RunError, WeightsError
from finetune.evaluation.abstention import Abstention
from finetune.experiments.directory import ExperimentDirectory
from finetune.files import PART, as_usual, full_disk_told, reach_disk, write_json
from finetune.model.building import Blueprint
from finetune.model.metadata import read_description
from finetune.run import RunDirectory

_FORMAT = 1


@dataclass(frozen=True)
class Classifier:
    """A trained network with all that it takes to use it.

    Attributes:
        model: The network, in evaluation mode.
        spec: How a picture becomes its input.
        classes: Class names by output.
        temperature: What logits are divided by before the softmax.
        majority: The training images' commonest class: what a guess would answer.
        max_pixels: Pictures with more are not opened.
        number_format: What its body computes in where the processor has it: float32 or bfloat16.
        config: timm's ``config.json``.
        abstention: When it doesn't answer, for those who ask it to abstain.
    """

    model: nn.Module
    spec: InputSpec
    classes: tuple[str, ...]
    temperature: float
    majority: str
    max_pixels: int
    number_format: str
    config: dict[str, Any]
    abstention: Abstention = field(default_factory=Abstention)


def save_bundle(folder: Path, classifier: Classifier) -> None:
    """Write a bundle, whole or not at all; one that is there is replaced."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=PART))
    try:
        tensors = {
            name: value.detach().cpu().contiguous()
            for name, value in classifier.model.state_dict().items()
        }
        with full_disk_told(folder):
            save_file(tensors, temporary / "model.safetensors", metadata={"format": "pt"})
        as_usual(temporary / "model.safetensors")  # it makes its files for their owner alone
        write_json(temporary / "config.json", classifier.config)
        write_json(temporary / "preprocessing.json", _preprocessing(classifier))
        write_abstention(temporary, classifier.abstention, classifier.classes)
        reach_disk(temporary / "model.safetensors")
        reach_disk(temporary)
        as_usual(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
        reach_disk(folder.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _preprocessing(classifier: Classifier) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "input": classifier.spec.to_dict(),
        "classes": list(classifier.classes),
        "temperature": classifier.temperature,
        "majority": classifier.majority,
        "max_pixels": classifier.max_pixels,
        "number_format": classifier.number_format,
    }


def load_bundle(path: Path) -> Classifier:
    """The classifier in a run directory or a bundle.

    Raises:
        RunError: There is none at ``path``, its training hasn't ended, or it is damaged.
    """
    folder = _bundle_folder(path)
    try:
        settings = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return _classifier(folder, settings, config)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, WeightsError) as error:
        told = (
            error.found if isinstance(error, WeightsError) else f"{type(error).__name__}: {error}"
        )
        reason = " ".join(told.split())[:400]
        raise RunError(
            f"the model in it can't be loaded: {reason}",
            where=str(folder),
            mend="Copy the folder again from where it was made, or train again.",
        ) from error


def _bundle_folder(path: Path) -> Path:
    for folder in (path, RunDirectory(path).model):
        if (folder / "preprocessing.json").is_file():
            return folder
    if ExperimentDirectory(path).begun:
        raise RunError(
            "is a cross-validation, which scores a recipe and has no classifier",
            where=str(path),
            mend="Name the run in its folder final; `finetune cv` makes it with --final.",
        )
    if RunDirectory(path).recipe.is_file():
        raise RunError(
            "its training has not ended, so there is no model in it yet",
            where=str(path),
            mend=f"Go on with it: finetune train --resume {path}",
        )
    raise RunError(
        "is no run directory and no model folder" if path.exists() else "does not exist",
        where=str(path),
        mend="Name a run directory that `finetune train` made, or the folder `model` in one.",
    )


def _classifier(folder: Path, settings: dict[str, Any], config: dict[str, Any]) -> Classifier:
    if settings["format"] != _FORMAT:
        raise ValueError(f"its format is {settings['format']}; this version reads {_FORMAT}")
    classes = tuple(str(name) for name in settings["classes"])
    weights = folder / "model.safetensors"
    said = read_description(weights)
    architecture = str(said.architecture).partition(".")[0]
    model = Blueprint(architecture, 0, 0.0, 0.0).build(said.model_args, len(classes))
    model.load_state_dict(load_file(weights), strict=True)
    return Classifier(
        model=model.to(memory_format=torch.channels_last).eval(),
        spec=InputSpec.from_dict(settings["input"]),
        classes=classes,
        temperature=float(settings["temperature"]),
        majority=str(settings["majority"]),
        max_pixels=int(settings["max_pixels"]),
        number_format=str(settings["number_format"]),
        config=config,
        abstention=read_abstention(folder, classes),
    )
