"""The classifier at the end of a network: its last linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

import torch
from torch import nn

from finetune.errors import WeightsError

_MEND = (
    "Take a backbone with one linear classifier: the ResNet, RegNet, EfficientNet, MobileNet, "
    "ConvNeXt, ViT and Swin families have one."
)


def classifier_name(model: nn.Module) -> str:
    """Dotted name of the network's one linear classifier, such as ``fc`` or ``head.fc``.

    Raises:
        WeightsError: The network has no classifier, more than one, or one that isn't linear.
    """
    declared = _declared_names(model)
    if len(declared) > 1:
        raise _unfit(model, f"has {len(declared)} classifiers ({', '.join(declared)})")
    if not declared:
        raise _unfit(model, "has no classifier")
    layer = model.get_submodule(declared[0])
    if not isinstance(layer, nn.Linear):
        kind = type(layer).__name__
        raise _unfit(model, f"has a classifier that isn't linear ({declared[0]}: {kind})")
    if layer.bias is None:
        raise _unfit(model, f"has a classifier without a bias ({declared[0]})")
    return declared[0]


def classifier(model: nn.Module) -> nn.Linear:
    """The layer whose outputs are the logits ``[N, C]``; its weight is ``[C, D]``.

    Raises:
        WeightsError: As for `classifier_name`.
    """
    layer = model.get_submodule(classifier_name(model))
    assert isinstance(layer, nn.Linear)
    return layer


def set_head(model: nn.Module, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Copy ``weight [C, D]`` and ``bias [C]`` into the classifier.

    Raises:
        ValueError: The shapes are not the classifier's.
    """
    layer = classifier(model)
    if weight.shape != layer.weight.shape or bias.shape != layer.bias.shape:
        raise ValueError(
            f"a head of {tuple(weight.shape)} and {tuple(bias.shape)} for a classifier of "
            f"{tuple(layer.weight.shape)} and {tuple(layer.bias.shape)}"
        )
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)


@dataclass(frozen=True, eq=False)
class SourceHead:
    """The classifier that pretrained weights were learnt with, whose place the new one takes.

    Attributes:
        weight: float32 ``[S, D]``, for the S classes of the pretraining.
        bias: float32 ``[S]``.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def of(cls, tensors: Mapping[str, torch.Tensor], model: nn.Module) -> SourceHead | None:
        """That of ``tensors``, which have timm's names; None: they have none for ``model``.

        It has to take what the new one takes, and to be of finite numbers.
        """
        name, width = classifier_name(model), classifier(model).in_features
        weight, bias = tensors.get(f"{name}.weight"), tensors.get(f"{name}.bias")
        if weight is None or bias is None or bias.ndim != 1 or weight.shape != (len(bias), width):
            return None
        if not all(t.is_floating_point() and bool(torch.isfinite(t).all()) for t in (weight, bias)):
            return None
        return cls(*(t.detach().to(torch.float32, copy=True) for t in (weight, bias)))

    def layer(self) -> nn.Linear:
        """A copy that can learn, on the CPU."""
        classes, width = self.weight.shape
        layer = nn.Linear(width, classes)
        layer.load_state_dict({"weight": self.weight, "bias": self.bias})
        return layer


class FeatureTap:
    """Catches what goes into the classifier while the network runs.

    Use it as a context manager; after each forward pass `features` holds the classifier's
    inputs for that batch.

    Args:
        model: A network with one linear classifier.
    """

    def __init__(self, model: nn.Module) -> None:
        self._layer = classifier(model)
        self._caught: torch.Tensor | None = None

    def __enter__(self) -> FeatureTap:
        self._hook = self._layer.register_forward_pre_hook(self._catch)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hook.remove()
        self._caught = None

    @property
    def features(self) -> torch.Tensor:
        """Inputs of the classifier in the last forward pass, ``[N, D]``.

        Raises:
            WeightsError: The network classifies tokens or pixels one by one.
            RuntimeError: Nothing has run yet.
        """
        if self._caught is None:
            raise RuntimeError("no forward pass has run inside this tap")
        if self._caught.ndim != 2:
            shape = tuple(self._caught.shape)
            raise WeightsError(
                f"the classifier's inputs have the shape {shape}, not [N, D]", mend=_MEND
            )
        return self._caught

    def _catch(self, _: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self._caught = inputs[0].detach()


def _declared_names(model: nn.Module) -> tuple[str, ...]:
    """What timm's configuration calls the classifiers; else what `get_classifier` gives."""
    declared = getattr(model, "pretrained_cfg", {}).get("classifier")
    if isinstance(declared, str):
        return (declared,) if _has(model, declared) else _found_names(model)
    if declared:
        return tuple(declared)
    return _found_names(model)


def _found_names(model: nn.Module) -> tuple[str, ...]:
    ask = getattr(model, "get_classifier", None)
    found = ask() if callable(ask) else None
    layers = found if isinstance(found, (tuple, list, nn.ModuleList)) else (found,)
    return tuple(name for name, module in model.named_modules() if any(module is x for x in layers))


def _has(model: nn.Module, name: str) -> bool:
    try:
        model.get_submodule(name)
    except AttributeError:
        return False
    return True


def _unfit(model: nn.Module, what: str) -> WeightsError:
    config = getattr(model, "pretrained_cfg", {})
    return WeightsError(
        f"{config.get('architecture', type(model).__name__)} {what}; "
        "only networks with one linear classifier can be adapted",
        mend=_MEND,
    )
