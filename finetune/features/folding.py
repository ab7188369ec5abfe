"""BatchNorm worked into the convolutions before it, in a copy of a network that only predicts."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial

import torch
from timm.layers import Conv2dSame
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils.hooks import RemovableHandle

# Only these compute with their weight as it is; a weight-standardised convolution doesn't.
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, Conv2dSame)


def folded(network: nn.Module, images: torch.Tensor) -> nn.Module:
    """A copy of ``network``, in evaluation mode, without the BatchNorms that follow convolutions.

    Which norm follows which convolution is seen by passing ``images`` through: a norm that is fed
    the very tensor that a convolution gave. The copy computes the same up to rounding, unless
    something else reads a convolution's output too; the caller compares.

    Args:
        network: In evaluation mode; it is not changed.
        images: ``[N, 3, H, W]``, where the network is.
    """
    copied = copy.deepcopy(network).eval()
    for convolution, norm in _pairs(copied, images).items():
        _fold(copied, convolution, norm)
    return copied


def _pairs(network: nn.Module, images: torch.Tensor) -> dict[str, str]:
    """The norm that each convolution's output goes to, by names."""
    watch = _Watch()
    hooks = [hook for name, module in network.named_modules() for hook in watch.hooks(name, module)]
    try:
        with torch.inference_mode():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    convolutions = [convolution for convolution, _ in watch.found]
    norms = [norm for _, norm in watch.found]
    once = {name for names in (convolutions, norms) for name in names if names.count(name) == 1}
    return {c: n for c, n in watch.found if {c, n} <= once}


class _Watch:
    """Sees which norms are fed what convolutions gave."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self._given: dict[int, tuple[str, torch.Tensor]] = {}  # tensors held: ids stay theirs

    def hooks(self, name: str, module: nn.Module) -> Iterator[RemovableHandle]:
        if type(module) in _CONVOLUTIONS:
            yield module.register_forward_hook(partial(self._gave, name))
        elif isinstance(module, _BatchNorm) and module.running_mean is not None:
            yield module.register_forward_pre_hook(partial(self._takes, name))

    def _gave(self, name: str, _: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        self._given[id(output)] = (name, output)

    def _takes(self, name: str, _: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if id(inputs[0]) in self._given:
            self.found.append((self._given[id(inputs[0])][0], name))


def _fold(network: nn.Module, convolution: str, norm: str) -> None:
    layer, scaler = network.get_submodule(convolution), network.get_submodule(norm)
    assert isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d))
    assert isinstance(scaler, _BatchNorm)
    assert scaler.running_mean is not None
    assert scaler.running_var is not None
    layer.weight, layer.bias = fuse_conv_bn_weights(
        layer.weight,
        layer.bias,
        scaler.running_mean,
        scaler.running_var,
        scaler.eps,
        scaler.weight,
        scaler.bias,
    )
    network.set_submodule(norm, _rest(scaler))


def _rest(norm: nn.Module) -> nn.Module:
    """What a norm does besides: timm's fused layers hold an activation."""
    act = getattr(norm, "act", None)
    return act if isinstance(act, nn.Module) else nn.Identity()
