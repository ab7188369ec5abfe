"""What a weights file says about itself, believed only as far as is safe.

A description comes from a timm ``config.json`` beside the file or from the file's own safetensors
metadata. Either may be written by anyone: it can name an architecture of timm's registry, set
options from a fixed list to scalars within bounds, and describe the preprocessing. Whatever else
it tries to set is refused by name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from finetune.errors import WeightsError
from finetune.model.pretrained import Scalar
from finetune.text import printable

_LARGEST_CONFIG = 16 * 2**20  # bytes; ImageNet-21k's class names take a few megabytes
_LONGEST_ARGUMENTS = 4096

Check = Callable[[Any], bool]


def _number(low: float, high: float) -> Check:
    def check(value: Any) -> bool:
        return _is_number(value) and low <= value <= high

    return check


def _integer(low: int, high: int) -> Check:
    def check(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return check


def _one_of(*choices: str) -> Check:
    def check(value: Any) -> bool:
        return isinstance(value, str) and value in choices

    return check


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_ACTIVATIONS = _one_of(
    "relu", "relu6", "leaky_relu", "elu", "prelu", "celu", "selu", "gelu", "gelu_tanh",
    "quick_gelu", "sigmoid", "tanh", "silu", "swish", "mish", "hard_sigmoid", "hard_swish",
    "hard_mish",
)  # fmt: skip

# Options of timm's networks that a weights file may set, and the values that are let through.
MODEL_ARGS: Mapping[str, Check] = {
    "act_layer": _ACTIVATIONS,
    "bn_eps": _number(1e-8, 0.1),
    "bn_momentum": _number(0.0, 1.0),
    "class_token": _flag,
    "dynamic_img_size": _flag,
    "fc_norm": _flag,
    "final_norm": _flag,
    "global_pool": _one_of("", "avg", "max", "avgmax", "catavgmax", "fast", "token", "map"),
    "img_size": _integer(16, 2048),
    "in_chans": _integer(3, 3),
    "init_values": _number(0.0, 10.0),
    "layer_scale_init_value": _number(0.0, 10.0),
    "no_embed_class": _flag,
    "output_stride": _integer(8, 32),
    "pad_type": _one_of("", "same", "valid"),
    "patch_size": _integer(4, 64),
    "pre_norm": _flag,
    "qk_norm": _flag,
    "qkv_bias": _flag,
    "reg_tokens": _integer(0, 64),
    "strict_img_size": _flag,
    "window_size": _integer(2, 64),
}
# The recipe's own (model.dropout, model.drop_path), or of no effect on what is loaded.
_NOT_THE_FILES = ("drop_rate", "drop_path_rate", "num_classes")


@dataclass(frozen=True)
class Description:
    """What a weights file says about itself; None where it says nothing.

    Attributes:
        architecture: timm's name, perhaps with a tag.
        model_args: Options that the network is built with.
        input: Fields of `InputSpec`.
        licence: Of the weights.
    """

    architecture: str | None = None
    model_args: Mapping[str, Scalar] = field(default_factory=dict)
    input: Mapping[str, Any] = field(default_factory=dict)
    licence: str | None = None


def read_description(path: Path) -> Description:
    """What the weights file at ``path``, or a timm ``config.json`` beside it, says.

    Raises:
        WeightsError: Either sets something that it may not, or the two contradict each other.
    """
    beside = _beside(path)
    inside = _inside(path)
    named = {text for text in (beside.architecture, inside.architecture) if text}
    if len({text.partition(".")[0] for text in named}) > 1:
        raise WeightsError(
            f"its metadata names the architecture {inside.architecture}, the config.json beside "
            f"it {beside.architecture}",
            where=str(path),
            mend="Remove the config.json if it belongs to another file.",
        )
    return Description(
        architecture=inside.architecture or beside.architecture,
        model_args={**beside.model_args, **inside.model_args},
        input={**beside.input, **inside.input},
        licence=inside.licence or beside.licence,
    )


def _beside(path: Path) -> Description:
    config = path.with_name("config.json")
    if not config.is_file():
        return Description()
    raw = _parse_json(_read_bounded(config), str(config))
    # A config.json without `architecture` is some other program's (transformers writes one too).
    if not isinstance(raw, dict) or not isinstance(raw.get("architecture"), str):
        return Description()
    inner = raw.get("pretrained_cfg", raw)
    facts = dict(inner) if isinstance(inner, dict) else {}
    facts |= {"architecture": raw["architecture"], "model_args": raw.get("model_args")}
    return _describe(facts, str(config))


def _read_bounded(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_CONFIG:
            raise WeightsError("is too large for a config.json", where=str(path))
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"can't be read: {error}", where=str(path)) from error


def _inside(path: Path) -> Description:
    if path.suffix.lower() != ".safetensors":
        return Description()
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            raw: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"is no readable safetensors file: {error}", where=str(path)) from error
    facts: dict[str, Any] = dict(raw)
    arguments = raw.get("create_model_kwargs")
    if arguments is not None:
        if len(arguments) > _LONGEST_ARGUMENTS:
            raise WeightsError("its create_model_kwargs are too long", where=str(path))
        facts["model_args"] = _parse_json(arguments, f"{path}: create_model_kwargs")
    for key in ("mean", "std", "input_size", "crop_pct"):
        if key in raw:
            facts[key] = _numbers(raw[key])
    return _describe(facts, str(path))


def _numbers(text: str) -> Any:
    """``0.5,0.5,0.5`` and ``[0.5, 0.5, 0.5]`` as lists, ``0.875`` as a number; else the text."""
    parts = text.strip().strip("[]()").split(",")
    try:
        values = [float(part) for part in parts[:4]]
    except ValueError:
        return text
    return values[0] if len(parts) == 1 else values


def _parse_json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"is no JSON: {error}", where=where) from error


def _describe(facts: Mapping[str, Any], where: str) -> Description:
    faults: list[str] = []
    description = Description(
        architecture=_architecture(facts, faults),
        model_args=_model_args(facts.get("model_args"), faults),
        input=_input(facts, faults),
        licence=_licence(facts),
    )
    if faults:
        raise WeightsError(
            "the metadata of these weights can't be followed:\n" + "\n".join(faults),
            where=where,
            mend="Metadata may name an architecture, describe the preprocessing and set "
            f"{', '.join(MODEL_ARGS)}. Correct it, or keep the tensors in a file without it.",
        )
    return description


def _architecture(facts: Mapping[str, Any], faults: list[str]) -> str | None:
    name = facts.get("architecture")
    if name is None:
        return None
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        faults.append("  architecture: is no name")
        return None
    tag = facts.get("tag")
    tagged = isinstance(tag, str) and tag.isidentifier() and "." not in name
    return f"{name}.{tag}" if tagged else name


def _model_args(raw: Any, faults: list[str]) -> dict[str, Scalar]:
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        faults.append("  model_args: is no mapping of names to values")
        return {}
    kept: dict[str, Scalar] = {}
    for name, value in raw.items():
        if name in _NOT_THE_FILES or value is None:
            continue
        if name in MODEL_ARGS and MODEL_ARGS[name](value):
            kept[name] = value
        else:
            why = f"may not be {_short(value)}" if name in MODEL_ARGS else "may not be set"
            faults.append(f"  {printable(str(name)[:60])}: {why}")
    kept.pop("in_chans", None)
    return kept


def _input(facts: Mapping[str, Any], faults: list[str]) -> dict[str, Any]:
    checks: dict[str, Check] = {
        "mean": _triple_within(-1.0, 2.0),
        "std": _triple_within(1e-3, 10.0),
        "interpolation": _one_of("bilinear", "bicubic"),
        "crop_pct": _number(0.05, 2.0),
        "input_size": _is_square_input,
    }
    found = {key: facts[key] for key in checks if facts.get(key) is not None}
    faults.extend(
        f"  {key}: may not be {_short(value)}"
        for key, value in found.items()
        if not checks[key](value)
    )
    if faults:
        return {}
    fields = {key: value for key, value in found.items() if key != "input_size"}
    fields |= {key: tuple(map(float, fields[key])) for key in ("mean", "std") if key in fields}
    if "crop_pct" in fields:
        fields["crop_pct"] = min(float(fields["crop_pct"]), 1.0)
    if "input_size" in found:
        fields["size"] = int(found["input_size"][1])
    return fields


def _triple_within(low: float, high: float) -> Check:
    def check(value: Any) -> bool:
        within = _number(low, high)
        return isinstance(value, list) and len(value) == 3 and all(map(within, value))

    return check


def _is_square_input(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 3 or not all(map(_is_number, value)):
        return False
    channels, height, width = cast("list[float]", value)
    return channels == 3 and height == width == int(height) and 16 <= height <= 2048


def _licence(facts: Mapping[str, Any]) -> str | None:
    for key in ("license", "licence"):
        value = facts.get(key)
        if isinstance(value, str) and value:
            return printable(value[:100])
    return None


def _short(value: Any) -> str:
    return printable(repr(value)[:60])
