"""A file's tensors matched with a network's, strictly: none missing, extra or misshapen."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from timm.models import model_entrypoint
from torch import nn

from finetune.errors import WeightsError
from finetune.text import listed, plural

State = dict[str, torch.Tensor]

# timm keeps each family's converter in the family's module, by one of these names.
_CONVERTERS = (
    "checkpoint_filter_fn",
    "_filter_fn",
    "_filter_torchvision_pretrained",
)
# Options that timm itself gives a family's converter.
_CONVERTER_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "timm.models.deit": {"adapt_layer_scale": True},
}
_BATCHES_SEEN = "num_batches_tracked"


@dataclass(frozen=True)
class Match:
    """Tensors that fit a network's body.

    Attributes:
        tensors: By the network's own names; floating ones in float32.
        head_classes: Outputs of the file's classifier, which is left out; None if it has none.
        notes: What a person may want to know.
    """

    tensors: State
    head_classes: int | None
    notes: tuple[str, ...]


def convert(tensors: Mapping[str, torch.Tensor], model: nn.Module, architecture: str) -> State:
    """The tensors by timm's names, through the converter that timm has for the family.

    Raises:
        WeightsError: The converter fails on them: they belong to some other network.
    """
    converter = _converter(architecture)
    if converter is None:
        return dict(tensors)
    try:
        converted = converter(dict(tensors), model)
    except Exception as error:  # converters take the tensors' names and shapes for granted
        raise WeightsError(
            f"these are no weights of {architecture}: timm's converter fails on them "
            f"({type(error).__name__}: {str(error)[:200]})",
            mend="Name the right backbone with --set model.backbone=NAME.",
        ) from error
    return {str(name): value for name, value in converted.items()}


def match(tensors: State, model: nn.Module, head: str) -> Match:
    """Match tensors that have timm's names with those of ``model``.

    Args:
        tensors: As `convert` gives them.
        model: The network, with a classifier of any number of outputs.
        head: Dotted name of its classifier.

    Raises:
        WeightsError: Something is missing, extra, of another shape or type, or not finite.
    """
    own_head = {f"{head}.weight", f"{head}.bias"}
    wanted = {name: t for name, t in model.state_dict().items() if name not in own_head}
    given = {name: t for name, t in tensors.items() if name not in own_head}
    faults = _differences(given, wanted) or _bad_values(given, wanted)
    if faults:
        raise WeightsError(
            "the weights don't fit the network:\n" + "\n".join(f"  {fault}" for fault in faults),
            mend="Name the backbone that they belong to with --set model.backbone=NAME.",
        )
    notes = []
    if any(name not in given for name in wanted):
        notes.append("The file has no counts of batches seen by BatchNorm, as old files don't.")
    if any(t.is_floating_point() and t.dtype != torch.float32 for t in given.values()):
        notes.append("Its numbers are not float32 and were converted to it.")
    classifier = tensors.get(f"{head}.weight")
    classes = int(classifier.shape[0]) if classifier is not None and classifier.ndim else None
    kept = {name: given[name].to(wanted[name].dtype) for name in wanted if name in given}
    return Match(kept, classes, tuple(notes))


def differences(given: Mapping[str, torch.Tensor], model: nn.Module) -> bool:
    """Whether names or shapes differ from the network's, its classifier included."""
    return bool(_differences(given, model.state_dict()))


def _differences(
    given: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]
) -> list[str]:
    missing = [n for n in wanted if n not in given and not n.endswith(_BATCHES_SEEN)]
    extra = [name for name in given if name not in wanted]
    reshaped = [
        f"{name} {list(given[name].shape)} for {list(wanted[name].shape)}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    kinds = (("missing", missing), ("not in the network", extra), ("of another shape", reshaped))
    return [
        f"{plural(len(names), 'tensor')} {kind}: {listed(names, 5)}"
        for kind, names in kinds
        if names
    ]


def _bad_values(given: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> list[str]:
    whole = [n for n in given if wanted[n].is_floating_point() and not given[n].is_floating_point()]
    broken = [
        n
        for n in given
        if given[n].is_floating_point() and not bool(torch.isfinite(given[n]).all())
    ]
    kinds = (("of whole numbers, maybe quantised", whole), ("with NaN or infinity", broken))
    return [
        f"{plural(len(names), 'tensor')} {kind}: {listed(names, 5)}"
        for kind, names in kinds
        if names
    ]


def _converter(architecture: str) -> Callable[[State, nn.Module], Mapping[str, Any]] | None:
    module = sys.modules[model_entrypoint(architecture).__module__]
    found = next((getattr(module, n) for n in _CONVERTERS if hasattr(module, n)), None)
    if found is None:
        return None
    found = partial(found, **_CONVERTER_OPTIONS.get(module.__name__, {}))
    if len(inspect.signature(found).parameters) == 1:
        return lambda tensors, _: found(tensors)
    return found
