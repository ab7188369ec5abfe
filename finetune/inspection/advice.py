"""What to do with a data set, in three sentences with their reasons."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from finetune.evaluation.intervals import wilson
from finetune.text import listed, plural

FEW = 10
"""Images of a class, below which neither learning nor judging it can be relied on."""

_UNEVEN = 5.0
_WIDE = 0.15
_MANY = 20_000
_FEW_A_CLASS = 20
_TYPICAL = 0.9


def advise(counts: Mapping[str, Mapping[str, int]], carved: bool, share: float) -> list[str]:
    """What suits classes of these sizes: on the classes, on the split, on the recipe.

    Args:
        counts: Images of each class in each part.
        carved: Whether the test part is a share of the images, not DATA's own.
        share: Which share.
    """
    sizes = {name: sum(parts.values()) for name, parts in counts.items()}
    if not sizes:
        return []
    return [_on_classes(sizes), _on_split(counts, carved, share), _on_recipe(sizes)]


def _on_classes(sizes: Mapping[str, int]) -> str:
    few = sorted(name for name, count in sizes.items() if count < FEW)
    largest, smallest = max(sizes, key=lambda n: sizes[n]), min(sizes, key=lambda n: sizes[n])
    if few:
        count = plural(len(few), "class has", "classes have")
        return (
            f"{count} under {FEW} images ({listed(few, 4)}): gather more, or join or leave out "
            "such classes; a class that small is neither learnt nor judged reliably."
        )
    if sizes[largest] > _UNEVEN * sizes[smallest]:
        return (
            f"{listed([largest])} has {sizes[largest] / sizes[smallest]:.0f} times the images of "
            f"{listed([smallest])}: look at balanced accuracy and at each class's recall, since "
            "accuracy can be good where the small classes are missed."
        )
    range_ = f"{sizes[smallest]:,} to {sizes[largest]:,} images"
    return f"The classes are of like size ({range_}): accuracy says what it seems to say."


def _on_split(counts: Mapping[str, Mapping[str, int]], carved: bool, share: float) -> str:
    test = sum(parts["test"] for parts in counts.values())
    score = wilson(round(_TYPICAL * test), test, 0.95)
    if score.low is None or score.high is None:
        return "No image is kept apart for the test, so nothing will be known of new pictures."
    range_ = f"an accuracy of {_TYPICAL:.2f} would mean {score.low:.2f} to {score.high:.2f}"
    if score.high - score.low <= _WIDE:
        return f"The test part has {plural(test, 'image')}, enough to say something: {range_}."
    more = min(0.4, 2 * share)
    if not carved or more <= share:
        return f"The test part has {plural(test, 'image')}: {range_}; label more to know more."
    return (
        f"The test part would have {plural(test, 'image')}: {range_}; for a narrower range keep "
        f"more apart, as with --set data.test={more:g}."
    )


def _on_recipe(sizes: Mapping[str, int]) -> str:
    total, usual = sum(sizes.values()), median(sizes.values())
    if usual < _FEW_A_CLASS:
        return (
            f"Recipe linear_probe: with {usual:g} images in the middle class, tuning the network "
            "fits their chances; a head on frozen features does not."
        )
    if total >= _MANY:
        return (
            f"Recipe full_finetune: {total:,} images are enough to adapt every layer; try "
            "linear_probe first to have a number to beat."
        )
    return (
        f"Recipe lp_ft, the default: with {total:,} images it is open whether tuning pays, and "
        "it keeps the tuned stages only where validation says so."
    )
