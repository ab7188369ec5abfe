"""The network that a training starts from: built, and given the chosen weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn

from finetune.data.input_spec import InputSpec
from finetune.errors import WeightsError
from finetune.model.building import Blueprint
from finetune.model.head import SourceHead, classifier, classifier_name
from finetune.model.matching import Match, convert, match
from finetune.model.pretrained import Pretrained, WeightsChoice, resized
from finetune.model.registry import registered
from finetune.model.torchvision_names import Translation, translate
from finetune.model.weight_files import WeightsFile, read_weights
from finetune.model.weights import fetch_weights
from finetune.recipe.schema import InputOptions
from finetune.text import plural


@dataclass(frozen=True)
class LoadReport:
    """What was loaded from where.

    Attributes:
        source: As in `Pretrained.source`.
        architecture: timm's name, with the tag of its weights where they have one.
        pretrained: Whether weights were loaded; random ones otherwise.
        tensors: How many were loaded.
        head: What became of the classifier: ``fc: 1,000 classes replaced by 5``.
        licence: Of the weights, where it is known.
        digest: SHA-256 of the weights file; ``""`` for random weights.
        notes: Further sentences that a person may want to know.
    """

    source: str
    architecture: str
    pretrained: bool
    tensors: int
    head: str
    licence: str | None
    digest: str
    notes: tuple[str, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """The report as lines to show."""
        if not self.pretrained:
            return (f"Backbone {self.architecture}, {self.source}.", f"Head {self.head}.")
        return (
            f"Backbone {self.architecture}: {plural(self.tensors, 'tensor')} from {self.source}.",
            f"Licence of the weights: {self.licence or 'not known'}.",
            f"Head {self.head}.",
            *self.notes,
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self) | {"notes": list(self.notes)}


@dataclass(frozen=True)
class Loaded:
    """A network that is ready to be adapted.

    Attributes:
        model: timm's network on the CPU, in channels-last memory and evaluation mode.
        report: What was loaded.
        pretrained: What builds the same network again.
        source_head: The classifier that the weights were learnt with; None: they have none.
    """

    model: nn.Module
    report: LoadReport
    pretrained: Pretrained
    source_head: SourceHead | None = None


def load_backbone(
    choice: WeightsChoice,
    num_classes: int,
    *,
    seed: int,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    size: int | None = None,
) -> Loaded:
    """Build the chosen network with a new head, and load its weights strictly.

    Args:
        choice: From `finetune.model.weights.choose_weights`.
        num_classes: Outputs of the new head. Over pretrained weights it starts from zero: every
            class is as likely as any other until something is learnt.
        seed: Random weights are a function of it.
        dropout: Share of the head's inputs that are dropped in training.
        drop_path: Share of residual branches that are dropped in training.
        size: Side of the input in pixels, where it isn't what the weights were trained for.
            Networks with a built-in size (ViT, Swin) are built for it.

    Raises:
        HubUnreachable: The weights are on the hub, and it doesn't answer.
        WeightsError: The weights can't be read or don't fit the network, or the network can't
            be built or adapted.
    """
    start = resized(choice.pretrained, size)
    blueprint = Blueprint(start.architecture, seed, dropout, drop_path)
    path = fetch_weights(choice)
    if path is None:
        return _random(start, blueprint, num_classes)
    file = read_weights(path)
    try:
        return _pretrained(replace(start, digest=file.digest), blueprint, file, num_classes)
    except WeightsError as error:
        if error.where:
            raise
        raise WeightsError(error.found, where=str(path), mend=error.mend) from error


def sketched(choice: WeightsChoice) -> nn.Module | None:
    """The chosen network without values: its stages are known before anything is fetched.

    None where it can't be built so; what is wrong with it comes out when it is loaded.
    """
    start = resized(choice.pretrained, None)
    try:
        with torch.device("meta"):
            return Blueprint(start.architecture, 0, 0.0, 0.0).build(start.model_args, 1)
    except WeightsError:
        return None


def input_spec(start: WeightsChoice | Loaded, options: InputOptions) -> InputSpec:
    """The weights' own preprocessing as the recipe's ``input`` section wants it.

    While ``mirror: auto`` is not decided, pictures are taken alone.
    A `Loaded` knows better than a `WeightsChoice`: only the tensors tell who trained them.
    """
    own = start.pretrained.input
    size = own.size if options.size == "auto" else options.size
    return replace(own, size=size, fit=options.fit, mirror=options.mirror is True)


def local_dir_config(
    start: WeightsChoice | Loaded, num_classes: int, spec: InputSpec, classes: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The ``config.json`` beside a trained network's ``model.safetensors``.

    ``timm.create_model("local-dir:FOLDER", pretrained=True)`` builds the same network from it.

    Args:
        start: What the network was loaded as.
        num_classes: Outputs of its classifier.
        spec: The preprocessing that it was trained with.
        classes: Their names, in the order of the outputs.
    """
    pretrained = start.pretrained
    known = registered(pretrained.architecture, pretrained.tag)
    config: dict[str, Any] = {
        "tag": "finetuned",
        "input_size": [3, spec.size, spec.size],
        "fixed_input_size": known.fixed_input_size,
        "interpolation": spec.interpolation,
        # timm would cut a squashed or bordered picture to this share too; we don't.
        "crop_pct": spec.crop_pct if spec.fit == "crop" else 1.0,
        "crop_mode": {"crop": "center", "squash": "squash", "letterbox": "border"}[spec.fit],
        "mean": list(spec.mean),
        "std": list(spec.std),
        "num_classes": num_classes,
        "pool_size": known.pool_size,
        "first_conv": known.first_conv,
        "classifier": known.classifier,
        "license": pretrained.licence,
        "label_names": list(classes) or None,
    }
    return {
        "architecture": pretrained.architecture,
        "num_classes": num_classes,
        "pretrained_cfg": {name: value for name, value in config.items() if value is not None},
        "model_args": dict(pretrained.model_args),
    }


def _random(start: Pretrained, blueprint: Blueprint, num_classes: int) -> Loaded:
    model = blueprint.build(start.model_args, num_classes)
    start = replace(start, source=f"{start.source} from seed {blueprint.seed}")
    head = f"{classifier_name(model)}: {plural(num_classes, 'class', 'classes')}"
    report = LoadReport(start.source, start.backbone, False, 0, head, None, "")
    return Loaded(_ready(model), report, start)


def _pretrained(
    start: Pretrained, blueprint: Blueprint, file: WeightsFile, num_classes: int
) -> Loaded:
    translation = translate(file.tensors, start.architecture, start.model_args, blueprint.build)
    if translation is not None:
        start = _as_torchvision(start, translation)
    tensors = translation.tensors if translation else file.tensors
    model = blueprint.build(start.model_args, num_classes)
    head = classifier_name(model)
    converted = convert(tensors, model, start.architecture)
    found = match(converted, model, head)
    model.load_state_dict(found.tensors, strict=False)  # `match` has been strict already
    _zero(classifier(model))
    report = LoadReport(
        source=start.source,
        architecture=start.backbone,
        pretrained=True,
        tensors=len(found.tensors),
        head=_head_words(head, found, num_classes),
        licence=start.licence,
        digest=start.digest,
        notes=(translation.notes if translation else ()) + found.notes,
    )
    return Loaded(_ready(model), report, start, SourceHead.of(converted, model))


def _as_torchvision(start: Pretrained, translation: Translation) -> Pretrained:
    """Torchvision trains every network with ImageNet's own mean and deviation."""
    imagenet = InputSpec()
    spec = replace(start.input, mean=imagenet.mean, std=imagenet.std)
    return replace(start, model_args=translation.model_args, input=spec)


def _zero(layer: nn.Linear) -> None:
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()


def _head_words(head: str, found: Match, num_classes: int) -> str:
    if found.head_classes is None:
        new = plural(num_classes, "class", "classes")
        return f"{head}: {new}; the file has no classifier of its own"
    return f"{head}: {found.head_classes:,} classes replaced by {num_classes:,}"


def _ready(model: nn.Module) -> nn.Module:
    return model.to(memory_format=torch.channels_last).eval()
