"""``finetune demo``: the main job on pictures that come along."""

from __future__ import annotations

from pathlib import Path

from finetune.cli.train import start_run
from finetune.console import Console
from finetune.text import plural

_ONLINE = "linear_probe"
_OFFLINE = "small_scratch"


def run_demo(folder: Path, out: Path | None) -> None:
    """Write the digits and train on them, with pretrained weights if they can be had."""
    from finetune.data.public.digits import write_digits

    console = Console()
    data = folder / "digits"
    there = data.exists()
    count = write_digits(data)
    already = ", there already" if there else ""
    console.say(f"{plural(count, 'scanned digit')} in ten class folders{already}: {data}")
    recipe = _recipe(console)
    command = f"finetune train {data} --recipe {recipe}"
    console.say(f"Now the ordinary command:\n  {command}")
    start_run(str(data), recipe, [], None, out)


def _recipe(console: Console) -> str:
    """The recipe to take: with weights from the hub, or without where it can't be reached."""
    from finetune.errors import HubUnreachable
    from finetune.model.weights import choose_weights, fetch_weights
    from finetune.recipe.loading import load_recipe

    try:
        fetch_weights(choose_weights(load_recipe(_ONLINE).model, None, None))
    except HubUnreachable as error:
        console.warn(
            f"{error.found}\n"
            "The demo goes on without pretrained weights. For digits a small network trained from "
            "nothing does well; on a few hundred photographs it would cost tens of points of "
            f"accuracy.\nRecipe: {_OFFLINE} (with the hub: {_ONLINE} on ResNet-50)."
        )
        return _OFFLINE
    return _ONLINE
