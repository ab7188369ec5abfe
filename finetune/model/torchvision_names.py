"""torchvision's weights for families that timm names differently.

No table of names is kept: torchvision's own network shows what the file holds, tensors are paired
by shape and order, and the pairing counts only once both networks give the same logits for the
same pictures. (ResNet, RegNet, VGG and DenseNet need none of this: timm has the same names or a
converter.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from finetune.errors import WeightsError
from finetune.model.matching import State, differences
from finetune.model.pretrained import Scalar

# timm's name to torchvision's, where the computation is the same.
EQUIVALENTS: Mapping[str, str] = {
    "convnext_base": "convnext_base",
    "convnext_large": "convnext_large",
    "convnext_small": "convnext_small",
    "convnext_tiny": "convnext_tiny",
    "efficientnet_b0": "efficientnet_b0",
    "efficientnet_b1": "efficientnet_b1",
    "efficientnet_b2": "efficientnet_b2",
    "efficientnet_b3": "efficientnet_b3",
    "efficientnet_b4": "efficientnet_b4",
    "mobilenetv2_100": "mobilenet_v2",
    "mobilenetv3_large_100": "mobilenet_v3_large",
    "mobilenetv3_small_100": "mobilenet_v3_small",
    "swin_base_patch4_window7_224": "swin_b",
    "swin_small_patch4_window7_224": "swin_s",
    "swin_tiny_patch4_window7_224": "swin_t",
    "vit_base_patch16_224": "vit_b_16",
    "vit_base_patch32_224": "vit_b_32",
    "vit_large_patch16_224": "vit_l_16",
    "vit_large_patch32_224": "vit_l_32",
}

# Of the difference between two pictures' logits; float64 sums in another order give 1e-10 or so.
_SHARE = 1e-6

Build = Callable[[Mapping[str, Scalar], int], nn.Module]


@dataclass(frozen=True)
class Translation:
    """torchvision's weights by timm's names.

    Attributes:
        tensors: By timm's names, the classifier included.
        model_args: Options with which timm's network computes what torchvision's does.
        notes: What a person may want to know.
    """

    tensors: State
    model_args: Mapping[str, Scalar]
    notes: tuple[str, ...]


def translate(
    tensors: State, architecture: str, model_args: Mapping[str, Scalar], build: Build
) -> Translation | None:
    """Translate the tensors if they are a torchvision network's; None if they aren't.

    Args:
        tensors: As they are in the file.
        architecture: timm's name.
        model_args: Options of timm's network.
        build: Makes timm's network from options and a number of classes.

    Raises:
        WeightsError: They are, but the two networks don't compute the same.
    """
    reference = _reference(tensors, architecture)
    if reference is None:
        return None
    source = EQUIVALENTS[architecture]
    classes = _outputs(reference)
    model = build(model_args, classes)
    eps = _norm_eps(reference)
    if eps is not None and eps != _norm_eps(model):
        model_args = {**model_args, "bn_eps": eps}
        model = build(model_args, classes)
    # A safetensors file keeps no order; torchvision's network does.
    paired = _pair(reference.state_dict(), model.state_dict())
    if paired is None or not _same_function(reference, model, paired):
        raise WeightsError(
            f"these weights have torchvision's names ({source}), and timm's {architecture} "
            "doesn't compute the same with them",
            mend="Take weights in timm's layout; timm's hub has torchvision's where they fit.",
        )
    note = f"Translated from torchvision's names ({source}); both networks give the same logits."
    return Translation(paired, model_args, (note,))


def _reference(tensors: State, architecture: str) -> nn.Module | None:
    """The torchvision network that holds exactly these tensors, if there is one."""
    name = EQUIVALENTS.get(architecture)
    if name is None:
        return None
    from torchvision.models import get_model

    with torch.device("meta"):
        last = list(get_model(name, weights=None).state_dict())[-1]  # the classifier's bias
        if last not in tensors:
            return None
        classes = tensors[last].numel()
        if differences(tensors, get_model(name, weights=None, num_classes=classes)):
            return None
    with torch.random.fork_rng(
        devices=[]
    ):  # its random weights don't last; the caller's state does
        model: nn.Module = get_model(name, weights=None, num_classes=classes)
    model.load_state_dict(tensors, strict=False)  # old files lack the batch counts
    return model


def _outputs(model: nn.Module) -> int:
    linear = [m for m in model.modules() if isinstance(m, nn.Linear)]
    return linear[-1].out_features


def _norm_eps(model: nn.Module) -> float | None:
    found = {module.eps for module in model.modules() if isinstance(module, _BatchNorm)}
    return found.pop() if len(found) == 1 else None


def _pair(given: State, wanted: State) -> State | None:
    """Pair tensors of equal shape (sides of one aside) in order; None if the counts differ.

    Whole numbers may be left over: index tables, which networks make for themselves.
    """
    alike: defaultdict[tuple[object, ...], list[torch.Tensor]] = defaultdict(list)
    for tensor in given.values():
        alike[_kind(tensor)].append(tensor)
    paired: State = {}
    for name, tensor in wanted.items():
        if not alike[_kind(tensor)]:
            return None
        paired[name] = alike[_kind(tensor)].pop(0).reshape(tensor.shape)
    left = [tensor for tensors in alike.values() for tensor in tensors]
    return None if any(tensor.is_floating_point() for tensor in left) else paired


def _kind(tensor: torch.Tensor) -> tuple[object, ...]:
    return tensor.is_floating_point(), *(side for side in tensor.shape if side != 1)


@torch.inference_mode()
def _same_function(reference: nn.Module, model: nn.Module, paired: State) -> bool:
    """Whether logits agree far better than those of two different pictures do."""
    model.load_state_dict(paired)
    size = 224 if _has_fixed_size(model) else 64  # float64 convolutions are slow
    blots = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    pictures = nn.functional.interpolate(blots, size=size, mode="bilinear").double()
    expected = reference.double().eval()(pictures)
    got = model.double().eval()(pictures)
    spread = (expected[0] - expected[1]).abs().max()
    return bool(torch.isfinite(expected).all() and (expected - got).abs().max() < _SHARE * spread)


def _has_fixed_size(model: nn.Module) -> bool:
    config = getattr(model, "pretrained_cfg", {})
    return bool(config.get("fixed_input_size"))
