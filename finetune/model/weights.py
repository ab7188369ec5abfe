"""Which weights a training starts from: judged before any work, without network or tensors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from timm.models._pretrained import PretrainedCfg

from finetune.errors import RecipeError, WeightsError
from finetune.model.hub import HubSource, fetch
from finetune.model.metadata import Description, read_description
from finetune.model.pretrained import Pretrained, WeightsChoice, registered_input
from finetune.model.registry import find_backbone, pretrained_tags, registered
from finetune.recipe.schema import ModelOptions
from finetune.text import listed

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
NONE = "none"
_NAMES_IN_FOLDER = ("model.safetensors", "pytorch_model.bin")


def choose_weights(
    options: ModelOptions, weights: str | None, backbone_override: str | None
) -> WeightsChoice:
    """What to start from: the command line over a weights file's own words over the recipe.

    Args:
        options: The recipe's ``model`` section.
        weights: ``--weights``: a file; a folder in timm's layout; ``none`` for random weights;
            None for what the recipe says.
        backbone_override: The backbone where the command line names one.

    Raises:
        RecipeError: timm has no such backbone.
        WeightsError: There is no such file, its metadata can't be followed, the command line
            contradicts it, or timm has no weights for the backbone.
    """
    backbone = backbone_override or options.backbone
    if weights is not None and weights != NONE:
        return _from_file(_find_file(Path(weights)), backbone, backbone_override)
    architecture, tag = find_backbone(backbone)
    config = registered(architecture, tag)
    if weights == NONE or not options.pretrained:
        start = Pretrained(
            "none: random weights", architecture, tag, input=registered_input(config)
        )
        return WeightsChoice(start, None)
    return _from_hub(architecture, tag, config)


def fetch_weights(choice: WeightsChoice) -> Path | None:
    """The file of the chosen weights on this machine; None for random ones.

    Raises:
        HubUnreachable: It has to be downloaded, and the hub doesn't answer.
        WeightsError: The hub has no such file, or what came is damaged.
    """
    return fetch(choice.place) if isinstance(choice.place, HubSource) else choice.place


def _from_hub(architecture: str, tag: str, config: PretrainedCfg) -> WeightsChoice:
    tag = tag or config.tag or ""
    if not config.hf_hub_id:
        tags = [f"{architecture}.{t}" for t in pretrained_tags(architecture)]
        hosted = [name for name in tags if registered(*name.split(".", 1)).hf_hub_id]
        others = f" Or take {listed(hosted)}." if hosted else ""
        raise WeightsError(
            f"the model hub has no weights for {architecture}{'.' if tag else ''}{tag}",
            where="model.backbone",
            mend=f"Give a file with --weights FILE, or --weights none for random ones.{others}",
        )
    repo, _, revision = config.hf_hub_id.partition("@")
    place = HubSource(repo, revision or "main")
    if config.hf_hub_filename:
        place = replace(place, filenames=(config.hf_hub_filename,))
    start = Pretrained(
        source=f"hub: {repo}",
        architecture=architecture,
        tag=tag,
        input=registered_input(config),
        licence=config.license,
    )
    return WeightsChoice(start, place)


def _from_file(path: Path, backbone: str, override: str | None) -> WeightsChoice:
    said = read_description(path)
    architecture, tag = _file_backbone(said, path, backbone, override)
    config = registered(architecture, tag)
    start = Pretrained(
        source=f"file: {path.name}",
        architecture=architecture,
        tag=tag,
        model_args=said.model_args,
        input=replace(registered_input(config), **said.input),
        licence=said.licence,
    )
    return WeightsChoice(start, path)


def _file_backbone(
    said: Description, path: Path, backbone: str, override: str | None
) -> tuple[str, str]:
    """The architecture that the file names, else ``backbone``; the tag of whichever has one."""
    if said.architecture is None:
        return find_backbone(backbone)
    own, own_tag = _own_backbone(said.architecture, path)
    if override is None:
        return own, own_tag
    wanted, wanted_tag = find_backbone(override)
    if wanted != own:
        raise WeightsError(
            f"holds weights of {own}, but the command line asks for {wanted}",
            where=str(path),
            mend=f"Drop --set model.backbone={override}, or name another --weights.",
        )
    return wanted, wanted_tag if "." in override else own_tag


def _own_backbone(name: str, path: Path) -> tuple[str, str]:
    """The backbone that a file names; a tag that timm doesn't know is only a name."""
    try:
        return find_backbone(name, where=str(path))
    except RecipeError as error:
        architecture, dot, _ = name.partition(".")
        if dot:
            try:
                return find_backbone(architecture, where=str(path))
            except RecipeError:
                pass
        raise WeightsError(error.found, where=str(path), mend=error.mend) from None


def _find_file(path: Path) -> Path:
    if path.is_dir():
        inside = [path / name for name in _NAMES_IN_FOLDER if (path / name).is_file()]
        if inside:
            return inside[0]
        raise WeightsError(
            f"is a folder without {' or '.join(_NAMES_IN_FOLDER)}",
            where=str(path),
            mend="Name the weights file itself.",
        )
    if not path.is_file():
        raise WeightsError("there is no such file", where=str(path), mend="Look at --weights.")
    if path.suffix.lower() not in SUFFIXES:
        raise WeightsError(
            f"is no weights file by its name; those end in {', '.join(SUFFIXES)}",
            where=str(path),
            mend="Name a file of tensors with --weights.",
        )
    return path
