"""Which backbones there are, and where each can be frozen."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from finetune.console import Reporter, automatic
from finetune.model.costs import stage_costs
from finetune.model.listing import Examined, examine, find_listed
from finetune.model.registry import find_backbone

if TYPE_CHECKING:
    import pandas as pd


def backbones(
    pattern: str = "",
    *,
    limit: int | None = None,
    num_classes: int = 1000,
    size: int | None = None,
    reporter: Reporter | None = None,
) -> pd.DataFrame:
    """The backbones whose names have ``pattern`` in them; nothing is downloaded.

    Each is built without its weights, which takes some tenths of a second.

    Args:
        pattern: A part of a name, or a glob of a whole one. With a dot (``resnet50.*``) it is of
            names with the tags of weights, and each weights have a row. ``""``: a short selection.
        limit: Rows at most; None: as many as there are.
        num_classes: Outputs of the head; 1,000 are those of ImageNet, as in published figures.
        size: Side of the pictures in pixels; None: what the weights were trained for.
        reporter: Who is told; a progress bar in a notebook or on a terminal by default.

    Returns:
        A row for each: ``name``, as ``model.backbone`` takes it; ``parameters``;
        ``multiply_adds`` of a picture; ``input``, the side of the pictures in pixels; ``stages``,
        how many there are before the head; ``weights``, the tags of all that timm knows;
        ``licence`` of those in the name; ``unfit``, why it can't be adapted, or ``""``; figures
        are missing (``pd.NA``) then.

    Raises:
        RecipeError: There is no such backbone.
    """
    import pandas as pd

    found = find_listed(pattern)[:limit]
    examined = examine(found, reporter or automatic(), num_classes=num_classes, size=size)
    frame = pd.DataFrame([_row(each) for each in examined])
    return frame.astype(dict.fromkeys(("parameters", "multiply_adds", "stages"), "Int64"))


def stages(name: str, *, num_classes: int = 1000, size: int | None = None) -> pd.DataFrame:
    """The stages of a backbone, from the input to the head: where a recipe can begin to train.

    Args:
        name: As ``model.backbone`` takes it.
        num_classes: Outputs of the head.
        size: Side of the pictures in pixels; None: what the weights were trained for.

    Returns:
        A row for each: ``train``, what a phase's ``train`` calls it; ``output``, the shape of what
        leaves it for one picture; ``parameters``; ``multiply_adds``; ``trained_parameters`` and
        ``trained_multiply_adds``, both of it and all after it.

    Raises:
        RecipeError: There is no such backbone.
        WeightsError: It can't be adapted, or doesn't take pictures of this size.
    """
    import pandas as pd

    costs = stage_costs(*find_backbone(name, ""), num_classes=num_classes, size=size)
    frame = pd.DataFrame(
        {
            "train": [stage.name for stage in costs],
            "output": [stage.output for stage in costs],
            "parameters": [stage.parameters for stage in costs],
            "multiply_adds": [stage.multiply_adds for stage in costs],
        }
    )
    for column in ("parameters", "multiply_adds"):
        frame[f"trained_{column}"] = list(accumulate(frame[column][::-1]))[::-1]
    return frame


def _row(examined: Examined) -> dict[str, object]:
    listed = examined.listed
    fit = not examined.unfit
    return {
        "name": listed.name,
        "parameters": examined.parameters if fit else None,
        "multiply_adds": examined.multiply_adds if fit else None,
        "input": listed.input,
        "stages": len(examined.stages) - 1 if fit else None,
        "weights": listed.weights,
        "licence": listed.licence,
        "unfit": examined.unfit,
    }
