"""Augmentation of training images: albumentations, seen by the rest of the package through here.

albumentations 2.0.8 seeds every transform of a pipeline alike, so that two flips at 0.5 happen
both or not at all. Here each transform is seeded by itself, before every call, from (seed, phase,
epoch, sample, occurrence, position): a view is a function of these and of the picture.

A view is made in two steps. The first is without chance and makes the picture smaller, so that its
result can be kept for all epochs (`Augmentation.prepared`); the second makes a view of that.
"""

from __future__ import annotations

import inspect
import json
import os
import random
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from finetune.data.fitting import Pixels, fit_image, reduced
from finetune.data.policies import POLICIES
from finetune.data.randomness import Purpose, derived_seed
from finetune.data.views import random_view
from finetune.errors import RecipeError
from finetune.recipe.faults import nearest

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask its home for news
import albumentations
import cv2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from finetune.data.input_spec import InputSpec
    from finetune.recipe.schema import AugmentOptions, TransformOptions

_REFUSED = frozenset(
    # Bases; and what wants masks, boxes or other images, reads files, runs code given to it, or
    # gives something else than 8-bit RGB.
    [
        "DualTransform",
        "ImageOnlyTransform",
        "AtLeastOneBBoxRandomCrop",
        "BBoxSafeRandomCrop",
        "ConstrainedCoarseDropout",
        "CropNonEmptyMaskIfExists",
        "MaskDropout",
        "RandomCropNearBBox",
        "RandomSizedBBoxSafeCrop",
        "FDA",
        "HistogramMatching",
        "MixUp",
        "Mosaic",
        "OverlayElements",
        "PixelDistributionAdaptation",
        "TemplateTransform",
        "TextImage",
        "Lambda",
        "FromFloat",
        "Normalize",
        "ToFloat",
        "ToRGB",
    ]
)
_SIZING = frozenset(
    [
        "CenterCrop",
        "LongestMaxSize",
        "RandomCrop",
        "RandomResizedCrop",
        "RandomSizedCrop",
        "Resize",
        "SmallestMaxSize",
    ]
)
_ANY_SIZE = 224
_SPARE = 2
"""The network's side times this is the shorter side of pictures that random parts are cut from.

The smallest part of a square picture that the named policies cut, 0.35 of its area at 4:3, is then
as large as the network's square.
"""


class Augmentation:
    """The training views of pictures: a pure function, with no state from call to call.

    Args:
        spec: How pictures become inputs.
        options: A policy, or an explicit list of transforms. A list is applied to the fitted
            picture, unless it begins with a transform that resizes or crops to a size: then to
            the picture as decoded.
        seed: The recipe's.
        phase: Position of the phase in the recipe; None: views that all phases share.

    Raises:
        RecipeError: A transform can't be made, or the list doesn't end in 8-bit RGB of the
            spec's size; the transform is named.
    """

    def __init__(
        self, spec: InputSpec, options: AugmentOptions, seed: int, phase: int | None
    ) -> None:
        faults = check_augment(options, "augment")
        if faults:
            raise RecipeError("\n".join(faults))
        self.spec, self.options, self.seed, self.phase = spec, options, seed, phase
        explicit = options.transforms
        policy = POLICIES[options.policy]
        self._smallest = 1.0 if explicit is not None else policy.smallest
        self._steps = tuple(policy.transforms if explicit is None else explicit)
        self._transforms = [_build(step, spec.size) for step in self._steps]
        self._whole = bool(explicit) and self._steps[0].name in _SIZING
        if explicit is not None:
            self._try_out()

    @cached_property
    def identity(self) -> str:
        """All that its views hang on besides the picture, the image's key and their number."""
        steps = [step.model_dump(mode="json") for step in self._steps]
        place = [self.seed, self.phase, self._smallest, self._whole, steps]
        libraries = [albumentations.__version__, cv2.__version__, np.__version__]
        return json.dumps([*place, *libraries])

    @property
    def preparation(self) -> str:
        """What `prepared` does, in a word that differs where its result does."""
        if self._whole:
            return "as decoded"
        return f"at most {self._most}" if self._smallest < 1.0 else "fitted"

    def prepared(self, image: Pixels) -> Pixels:
        """What all views of a picture ``[H, W, 3]`` are made of: no larger than they need it."""
        if self._whole:
            return image
        if self._smallest < 1.0:
            return reduced(image, self._most, self.spec)
        return fit_image(image, self.spec)

    def __call__(self, prepared: Pixels, sample: int, epoch: int, occurrence: int) -> Pixels:
        """A view ``[size, size, 3]``.

        Args:
            prepared: A picture as `prepared` gives it; it is left as it is.
            sample: The image's key, see `finetune.data.randomness.sample_key`.
            epoch: Of the phase, from 0; of views that all phases share, the view's number.
            occurrence: How often the image has been in this epoch before.

        Raises:
            RecipeError: A transform fails on this picture.
        """
        keys = (self._purpose, self.phase or 0, epoch, sample, occurrence)
        view = self._square(prepared, derived_seed(self.seed, *keys, 0))
        for position, transform in enumerate(self._transforms, start=1):
            transform.set_random_seed(derived_seed(self.seed, *keys, position))
            view = self._applied(position - 1, view)
        if fault := self._fault(view):
            raise RecipeError(fault, where="augment.transforms")
        return view

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what it is made from: transforms are made anew in each worker."""
        return type(self), (self.spec, self.options, self.seed, self.phase)

    @property
    def chance(self) -> bool:
        """Whether views differ from each other at all."""
        return self._smallest < 1.0 or bool(self._steps)

    @property
    def _most(self) -> int:
        return _SPARE * self.spec.size

    @property
    def _purpose(self) -> Purpose:
        return Purpose.SHARED_VIEW if self.phase is None else Purpose.AUGMENT

    def _square(self, prepared: Pixels, seed: int) -> Pixels:
        if self._smallest == 1.0:
            return prepared if self._whole else prepared.copy()
        return random_view(prepared, self.spec, self._smallest, random.Random(seed))

    def _applied(self, index: int, view: Pixels, *, force: bool = False) -> Pixels:
        try:
            result = self._transforms[index](image=view, force_apply=force)["image"]
        except Exception as error:  # third-party code fails in its own ways
            height, width = view.shape[:2]
            raise RecipeError(
                f"{self._steps[index].name} fails on a picture of {width} x {height}: {error}",
                where=f"augment.transforms[{index}]",
            ) from error
        return np.ascontiguousarray(result)

    def _fault(self, view: Pixels) -> str:
        size = self.spec.size
        if view.dtype == np.uint8 and view.shape == (size, size, 3):
            return ""
        last = self._steps[-1].name if self._steps else "the list"
        shape = " x ".join(str(side) for side in view.shape)
        return f"{last} leaves {view.dtype} {shape}; 8-bit RGB of {size} x {size} is wanted"

    def _try_out(self) -> None:
        """Apply all transforms, then only those that are applied always, to a made-up picture."""
        for index in range(len(self._steps)):
            self._transforms[index].set_random_seed(0)
        for only_certain in (False, True):
            view = np.random.default_rng(0).integers(
                0, 256, (2 * self.spec.size, 3 * self.spec.size, 3), np.uint8
            )
            view = view if self._whole else fit_image(view, self.spec)
            last, shape = 0, view.shape
            for index, step in enumerate(self._steps):
                if only_certain and step.p < 1:
                    continue
                view = self._applied(index, view, force=True)
                last, shape = (last, shape) if view.shape == shape else (index, view.shape)
            if fault := self._fault(view):
                self._raise(fault, last, only_certain)

    def _raise(self, fault: str, index: int, only_certain: bool) -> None:
        step = self._steps[index]
        uncertain = only_certain and step.p < 1
        mend = f"Set its p to 1, which is {step.p:g}." if uncertain else "Resize or crop to size."
        raise RecipeError(fault, where=f"augment.transforms[{index}] ({step.name})", mend=mend)


@cache
def registered_transforms() -> tuple[str, ...]:
    """Names of the transforms that a recipe may list: those that need an image and no more."""
    kinds = (albumentations.ImageOnlyTransform, albumentations.DualTransform)
    return tuple(
        sorted(
            name
            for name, kind in inspect.getmembers(albumentations, inspect.isclass)
            if issubclass(kind, kinds)
            and not issubclass(kind, albumentations.Transform3D)
            and name not in _REFUSED
        )
    )


def check_augment(options: AugmentOptions, key: str) -> list[str]:
    """What is wrong with the explicit transforms of ``options``; empty where nothing is.

    Args:
        options: From the recipe.
        key: Where they stand in the recipe, for the messages.
    """
    faults = []
    for index, step in enumerate(options.transforms or ()):
        faults += [f"{key}.transforms[{index}]: {fault}" for fault in _step_faults(step)]
    return faults


def _step_faults(step: TransformOptions) -> list[str]:
    if step.name not in registered_transforms():
        return [f"no transform {step.name}{_hint(step.name, registered_transforms())}"]
    known = [name for name in _parameters(step.name) if name != "p"]
    unknown = [name for name in step.args if name not in known]
    if unknown:
        return [f"{step.name} takes no argument {name}{_hint(name, known)}" for name in unknown]
    try:
        _build(step, _ANY_SIZE)
    except ValidationError as error:
        return [
            f"{step.name}: {'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}".replace(
                ": : ", ": "
            )
            for fault in error.errors()
        ]
    except (TypeError, ValueError) as error:
        return [f"{step.name}: {error}"]
    return []


def _hint(name: str, known: Sequence[str]) -> str:
    close = nearest(name, known)
    return f"; the nearest is {close}" if close else f"; it takes {', '.join(known) or 'none'}"


@cache
def _parameters(name: str) -> dict[str, inspect.Parameter]:
    parameters = dict(inspect.signature(getattr(albumentations, name).__init__).parameters)
    return {name: value for name, value in parameters.items() if name not in ("self", "strict")}


def _build(step: TransformOptions, size: int) -> Any:
    kind = getattr(albumentations, step.name)
    owner = next(base for base in kind.__mro__ if "__init__" in vars(base))
    # Otherwise arguments that its schema refuses are replaced by defaults, with a warning.
    strict = {"strict": True} if "InitSchema" in vars(owner) else {}
    try:
        return kind(**_completed(step, size), p=step.p, **strict)
    except ValueError as error:
        if isinstance(error.__cause__, ValidationError):
            raise error.__cause__ from None
        raise


def _completed(step: TransformOptions, size: int) -> dict[str, Any]:
    """The arguments, with the network's size where one is needed, and antialiasing."""
    parameters = _parameters(step.name)
    wanted = {"size": [size, size], "height": size, "width": size}
    required = {
        name: value
        for name, value in wanted.items()
        if name in parameters and parameters[name].default is inspect.Parameter.empty
    }
    if "area_for_downscale" in parameters:
        required["area_for_downscale"] = "image"
    return required | step.args
