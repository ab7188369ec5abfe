"""The sections of a recipe that every phase shares: model, data, input, augmentation."""

from __future__ import annotations

import re
import warnings
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Scalar = bool | int | float | str

_LONGEST_PATTERN = 200

COMMAND_LINE_ONLY = "command_line_only"
"""Marks a key that names a file to read: a recipe file may not hold it, `--set` may."""


class Section(BaseModel):
    """A part of a recipe: immutable, and an unknown key in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelOptions(Section):
    """What is adapted."""

    backbone: str = Field(
        "resnet50.tv_in1k",
        min_length=1,
        description="A timm model by name, with its weights' tag after the dot. The default's "
        "torchvision v1 weights give better frozen features than newer ones.",
    )
    pretrained: bool = Field(
        True,
        description="Start from pretrained weights. false: random weights, which wants thousands "
        "of images. --weights on the command line stands over this.",
    )
    head: Literal["linear"] = Field(
        "linear", description="What takes the place of the 1000-way classifier."
    )
    dropout: Fraction = Field(
        0.0, description="Share of the head's inputs dropped in training; 0 for small data."
    )
    drop_path: Fraction = Field(
        0.0,
        description="Stochastic depth: share of residual branches dropped in stages that train. "
        "Backbones without residual branches refuse a value above 0.",
    )


class GroupOptions(Section):
    """What tells which images belong together: one of these keys."""

    pattern: str | None = Field(
        None,
        min_length=1,
        description="A regular expression (Python's) that is searched in each image's path below "
        "DATA, such as `patient(\\d+)`. Images of one match are a group: what its parentheses "
        "capture, or all of it where it has none.",
    )
    exif: Annotated[float, Field(gt=0.0, le=525_600.0)] | None = Field(
        None,
        description="Minutes. Images of one camera, each taken at most so long after the one "
        "before, are a group: a burst, by EXIF DateTimeOriginal.",
    )

    @field_validator("pattern")
    @classmethod
    def _can_be_searched_for(cls, pattern: str | None) -> str | None:
        if pattern and len(pattern) > _LONGEST_PATTERN:
            raise ValueError(f"has {len(pattern):,} characters; {_LONGEST_PATTERN} are the most")
        try:
            with warnings.catch_warnings():  # of forms that Python may read otherwise one day
                warnings.simplefilter("ignore")
                re.compile(pattern or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"is no regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _one_of_them(self) -> GroupOptions:
        if (self.pattern is None) == (self.exif is None):
            raise ValueError("give pattern or exif, one of them (set the other to null)")
        return self


class DataOptions(Section):
    """What is learnt from, and how it is divided."""

    val: Fraction = Field(
        0.15,
        description="Share of the images that choices are made on, where DATA brings no such part.",
    )
    test: Fraction = Field(
        0.15, description="Share of the images scored once, where DATA brings no such part."
    )
    stratify: bool = Field(True, description="Give every class the same shares.")
    group: Literal["auto", "none"] | GroupOptions = Field(
        "auto",
        description="Which images must not be parted. auto: those of one group of DATA's table, "
        "and near-duplicates. A mapping: those that its key finds, too. none: every image stands "
        "alone, whatever DATA's table says.",
    )
    splits: str | None = Field(
        None,
        min_length=1,
        description="A run directory, or a CSV file with the columns path and split. The images "
        "that it lists keep their parts; new ones fill them up to the shares. A recipe file can't "
        "name it, only --set or Python code.",
        json_schema_extra={COMMAND_LINE_ONLY: True},
    )
    on_bad_image: Literal["quarantine", "error"] = Field(
        "quarantine",
        description="A file that can't be read: set aside by name, or end the run.",
    )
    on_leak: Literal["warn", "drop", "error"] = Field(
        "warn",
        description="The same picture in two parts. warn: the accuracy is told with and without "
        "such images. drop: the copies in the earlier part (train, val) are left out. error: end "
        "the run.",
    )
    fixes: str | None = Field(
        None,
        min_length=1,
        description="A CSV file with the columns path, problem, suggestion, as finetune check "
        "writes it: images to drop, to relabel, to group. No file is changed. A recipe file can't "
        "name it, only --set or Python code.",
        json_schema_extra={COMMAND_LINE_ONLY: True},
    )
    max_pixels: int = Field(
        89_478_485,
        ge=1,
        description="Images of more pixels are not opened (a decompression bomb would fill the "
        "memory); the default is Pillow's own limit, about 89 megapixels.",
    )
    workers: Literal["auto"] | Annotated[int, Field(ge=0, le=64)] = Field(
        "auto",
        description="Processes that read and augment images. auto: one a core beyond the second, "
        "4 at most. No number changes a result.",
    )

    @model_validator(mode="after")
    def _leave_something_to_learn_from(self) -> DataOptions:
        if self.val + self.test >= 0.9:
            raise ValueError(f"val + test is {self.val + self.test:g}; keep it under 0.9")
        return self


class InputOptions(Section):
    """How an image becomes the network's input."""

    size: Literal["auto"] | Annotated[int, Field(ge=16, le=2048)] = Field(
        "auto",
        description="Side of the square input in pixels. auto: what the weights were trained "
        "for. Half the size takes a quarter of the time.",
    )
    fit: Literal["crop", "squash", "letterbox"] = Field(
        "crop",
        description="How a picture fits the square: cut its longer side (crop), change its "
        "shape (squash), or add bars (letterbox: nothing is lost, details get smaller).",
    )
    mirror: Literal["auto"] | bool = Field(
        False,
        description="Take the mean of what the network makes of a picture and of its mirror image, "
        "wherever features, validation or predictions are computed: twice the time. auto: if a "
        "linear probe on the training images is better so, out-of-fold, by as much as a later "
        "phase has to be. Not for pictures whose left and right differ, as text.",
    )


class StoreOptions(Section):
    """What frozen networks made of the images is kept, so that it is computed once."""

    use: bool = Field(
        True,
        description="Keep features on disk, in FINETUNE_CACHE or the platform's cache folder. "
        "Another run on the same images, weights and size passes no image through the network.",
    )
    gib: Annotated[float, Field(gt=0.0)] | Literal["auto"] = Field(
        "auto",
        description="Most that all kept features may take, in GiB; the longest unused go first. "
        "auto: the smaller of 10 and a tenth of the free disk.",
    )


class TransformOptions(Section):
    """One registered albumentations transform with its arguments."""

    name: str = Field(min_length=1, description="Name of a registered transform.")
    p: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.5, description="Chance that it is applied to an image."
    )
    args: dict[str, Scalar | list[Scalar] | list[list[Scalar]] | None] = Field(
        default_factory=dict, description="The transform's own arguments."
    )


class AugmentOptions(Section):
    """How training images are varied; validation and test images never are."""

    policy: Literal["none", "light", "medium", "heavy"] = Field(
        "light",
        description="none: as in validation. light: random crop and mirror. medium: colour and "
        "small rotations too. heavy: more of both, blur and erased patches; for long training.",
    )
    transforms: list[TransformOptions] | None = Field(
        None, max_length=32, description="An explicit list, in order, in place of the policy."
    )
    views: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)] = Field(
        "auto",
        description="Different views of each image where stages are frozen: their outputs are kept "
        "and the epochs walk over them. auto: 8; fewer of over 4,000 images. Where all stages "
        "train, every epoch has new views.",
    )


class CheckpointOptions(Section):
    """How often the phase under way is kept, beside epochs' ends; no result hangs on it."""

    minutes: Annotated[float, Field(gt=0.0)] = Field(
        5.0,
        description="Most time between two checkpoints, which is what a crash can cost. Ctrl-C and "
        "SIGTERM cost nothing.",
    )
    steps: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Most optimiser steps between two; null: by time alone."
    )
