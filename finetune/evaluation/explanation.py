"""Where in a picture a network sees what it says: class activation maps by gradients.

A map is made from the outputs of the body's last stage and the gradient of a class's logit by them.
It is written here and not taken from the package grad-cam, which brings OpenCV and Matplotlib for
the drawing, and wants the layer and its layout named by hand for each family; stages know both.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from finetune.data.input_spec import InputSpec
from finetune.errors import WeightsError
from finetune.model.modes import evaluating
from finetune.model.normalise import normalise
from finetune.model.precision import full_precision
from finetune.model.stages import stages_of

_AT_ONCE = 16
"""Images passed at once."""


def heat_map(
    model: nn.Module,
    spec: InputSpec,
    images: torch.Tensor,
    classes: npt.NDArray[np.integer],
) -> npt.NDArray[np.float32]:
    """How much each place of an image speaks for a class, float32 ``[N, size, size]``, 0 to 1.

    For a network whose last stage gives planes it is Grad-CAM (Selvaraju et al. 2017): the planes,
    weighted by their mean gradients, where the sum is positive. For one of tokens (ViT), whose
    last block lets the class token alone go on, it is what goes into the last block times its
    gradient, token by token (HiResCAM, Draelos and Carin 2020): the gradient passes through the
    attention, and so holds how much each patch is attended to.

    The highest place of each map is 1; a map where nothing speaks for the class is 0 throughout. It
    says where the network looks, not whether it is right to. Its grain is that of the last stage,
    often 7 x 7.

    Args:
        model: A network whose body's last stage is known; it is left as it was, on its device.
        spec: How pictures become inputs.
        images: Fitted pictures, uint8 ``[N, size, size, 3]``.
        classes: The index of the class that is asked about, for each image, ``[N]``.

    Raises:
        WeightsError: The network's last stage is not known, or gives no map of the picture.
    """
    device = next(model.parameters()).device
    maps = [torch.empty((0, *images.shape[1:3]))]
    with torch.inference_mode(mode=False), evaluating(model), full_precision(device):
        wanted = torch.as_tensor(np.asarray(classes, dtype=np.int64), device=device)
        for first in range(0, len(images), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            maps.append(_maps(model, normalise(images[part], spec, device), wanted[part]).cpu())
    return torch.cat(maps).numpy()


def _maps(model: nn.Module, inputs: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """The maps of a batch ``[N, 3, H, W]``, ``[N, H, W]``."""
    with torch.no_grad(), _Tap(model) as tap:
        logits = model(inputs)  # the tap turns gradients on from the last stage on
        chosen = logits.gather(1, classes[:, None]).sum()
        (gradient,) = torch.autograd.grad(chosen, tap.caught)
        coarse = _speaking(model, tap.caught.detach(), gradient)
    fine = functional.interpolate(
        coarse[:, None], size=inputs.shape[2:], mode="bilinear", align_corners=False
    )[:, 0]
    return fine / fine.amax((1, 2), keepdim=True).clamp_min(torch.finfo(fine.dtype).tiny)


def _speaking(model: nn.Module, values: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """What speaks for the class, ``[N, h, w]``, from what the last stage gives."""
    if values.ndim == 3:
        return _grid(model, (values * gradient).sum(2).relu())
    if getattr(model, "output_fmt", "NCHW") == "NHWC":
        values, gradient = values.permute(0, 3, 1, 2), gradient.permute(0, 3, 1, 2)
    return (values * gradient.mean((2, 3), keepdim=True)).sum(1).relu()


def _grid(model: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """The patches among tokens ``[N, T]`` as rows and columns of the square picture."""
    patches = tokens[:, int(getattr(model, "num_prefix_tokens", 0)) :]
    side = math.isqrt(patches.shape[1])
    if side * side != patches.shape[1]:
        raise _no_map(f"gives {patches.shape[1]} tokens, which are no square")
    return patches.reshape(-1, side, side)


class _Tap:
    """Catches what the last stage gives, or what goes into its last block where that is tokens."""

    def __init__(self, model: nn.Module) -> None:
        name = stages_of(model)[-2].output
        if not name:
            raise _no_map("is not known")
        self._module = model.get_submodule(name)
        self._caught: torch.Tensor | None = None

    def __enter__(self) -> _Tap:
        self._hooks = (
            self._module.register_forward_pre_hook(self._before),
            self._module.register_forward_hook(self._after),
        )
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    @property
    def caught(self) -> torch.Tensor:
        """What was caught, with a gradient."""
        if self._caught is None:
            raise _no_map("gives no map of the picture")
        return self._caught

    def _before(self, _: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if isinstance(inputs[0], torch.Tensor) and inputs[0].ndim == 3:
            return (self._catch(inputs[0]), *inputs[1:])
        return None

    def _after(self, _: nn.Module, inputs: tuple[Any, ...], output: Any) -> torch.Tensor | None:
        if self._caught is None and isinstance(output, torch.Tensor) and output.ndim == 4:
            return self._catch(output)
        return None

    def _catch(self, values: torch.Tensor) -> torch.Tensor:
        torch.set_grad_enabled(True)  # the caller's `no_grad` ends with it
        self._caught = values.detach().requires_grad_()
        return self._caught.clone()  # what follows may compute in place


def _no_map(what: str) -> WeightsError:
    return WeightsError(
        f"the last stage of this network {what}, so that no heat map can be made",
        mend="Heat maps are made for the ResNet, EfficientNet, MobileNet, ConvNeXt, ViT and Swin "
        "families, and others whose stages are known.",
    )
