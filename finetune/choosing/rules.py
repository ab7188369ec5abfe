"""The rules: what the images, the machine and a quick probe say about each key.

Each rule is a function of facts, with its evidence; none measures anything. Where no measurement
is behind a rule, it says so.
"""

from __future__ import annotations

from finetune.choosing.suggestion import KeyChoice
from finetune.choosing.traits import DataTraits, MachineTraits
from finetune.recipe.loading import load_recipe

ELONGATED = 1.75
"""Longer over shorter side above which the middle square shows too little of a picture: under
half of its area, as crops for scoring leave a margin too. A judgement."""

TINY = 64
"""Pixels of the shorter side up to which a small network of its own sees all that there is."""

IMBALANCED = 10
"""Times that the largest class is as large as the smallest from which on accuracy alone misleads:
that of answering with the largest of two such classes is 0.91."""


def input_choices(data: DataTraits) -> list[KeyChoice]:
    """How pictures become inputs."""
    return [_size(data), _fit(data)]


def _size(data: DataTraits) -> KeyChoice:
    """What the weights were trained for, whatever the pictures' size.

    Small tiles are enlarged: frozen features of EuroSAT's 64 px tiles told 11 points more at 224 px
    (Corley et al. 2023, arXiv 2305.13456).
    """
    if data.side < 160:
        why = (
            f"What the weights were trained for. Pictures of {data.side:.0f} px are enlarged: that "
            "gained 11 points on satellite tiles of 64 px (arXiv 2305.13456)."
        )
    else:
        why = (
            "What the weights were trained for. Half of it takes a quarter of the time, and larger "
            "ones help where classes differ in small details."
        )
    return KeyChoice("input.size", "auto", why)


def _fit(data: DataTraits) -> KeyChoice:
    if data.aspect > ELONGATED:
        return KeyChoice(
            "input.fit",
            "letterbox",
            f"Pictures are {data.aspect:.1f} times as long as wide: their middle square would show "
            "too little of them. A judgement, not measured.",
        )
    return KeyChoice(
        "input.fit",
        "crop",
        f"Pictures are {data.aspect:.1f} times as long as wide: their middle shows most of them.",
    )


def backbone_choice(backbone: str, source: str) -> KeyChoice:
    """The network; ``source`` is where its weights come from."""
    if backbone == "resnet50.tv_in1k":
        why = (
            "The default: these weights' frozen features tell pictures apart better than newer "
            "ones' (pytorch/vision#8382)."
        )
    else:
        why = f"As the weights have it ({source})."
    return KeyChoice("model.backbone", backbone, why)


def scratch_choices(data: DataTraits) -> list[KeyChoice]:
    """All of a recipe without pretrained weights: the fixed one that fits the pictures' size."""
    small = data.side <= TINY
    name = "small_scratch" if small else "from_scratch"
    size = "small" if small else "not small"
    why = (
        f"As in {name}: there are no pretrained weights, and pictures of {data.side:.0f} px are "
        f"{size}. Its header says what it wants."
    )
    recipe = load_recipe(name).model_dump(mode="json")
    return [KeyChoice(key, recipe[key], why) for key in ("model", "input", "augment", "phases")]


def augment_choice(data: DataTraits, *, varied: bool) -> KeyChoice:
    """How training images are varied.

    Crops and mirroring alone: with a few epochs of a pretrained network, stronger policies were
    tuned for long trainings (TLlib: 80 epochs with RandAugment gain on cars, lose on textures).

    Args:
        data: The training images.
        varied: Whether anything is trained on varied images.
    """
    if not varied:
        why = "Nothing is trained by gradient: each image passes through the network once."
        return KeyChoice("augment", {"policy": "none", "views": "auto"}, why)
    if data.symbols:
        turns = load_recipe("small_scratch").augment.model_dump(mode="json")
        why = "Classes are called as letters or digits are: mirroring would make other symbols."
        return KeyChoice("augment", turns, why)
    grey = " Pictures are grey: there is no colour to vary." if data.grey > 0.5 else ""
    why = f"Crops and mirroring: stronger variation is for long trainings.{grey}"
    return KeyChoice("augment", {"policy": "light", "views": "auto"}, why)


def keep_choice(phases: int) -> KeyChoice:
    """Whose weights are kept: a later phase has to earn its place."""
    why = (
        "Fine-tuned weights only where images that they have not seen say so, by more than one "
        "standard error of the log loss, and with few of them by more."
        if phases > 1
        else "There is one phase."
    )
    return KeyChoice("keep", "best", why)


def precision_choice(machine: MachineTraits, asked: str) -> KeyChoice:
    """The number format; ``asked`` is what the recipe says."""
    has = "has bfloat16" if machine.bfloat16 else "has no native bfloat16"
    return KeyChoice("precision", asked, f"The fastest that serves: {machine.device} here {has}.")
