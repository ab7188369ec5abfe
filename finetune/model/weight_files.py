"""Tensors out of a weights file, and nothing but tensors."""

from __future__ import annotations

import hashlib
import pickle
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from finetune.errors import WeightsError
from finetune.text import listed

# Where training programs keep the weights inside a checkpoint; averaged ones are the better ones.
_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model")
# What DistributedDataParallel, Lightning modules, torch.compile and SWA put before each name.
_PREFIXES = ("module.", "model.", "_orig_mod.", "backbone.")
_SWA_COUNTER = "n_averaged"

_SAFE_MEND = (
    "It may be a whole pickled network. In a place where you trust it, save the tensors alone: "
    "torch.save(model.state_dict(), FILE)."
)


@dataclass(frozen=True)
class WeightsFile:
    """The contents of a weights file.

    Attributes:
        tensors: By name, without what wrappers put before the names.
        digest: SHA-256 of the file.
    """

    tensors: dict[str, torch.Tensor]
    digest: str


def read_weights(path: Path) -> WeightsFile:
    """Read the tensors of a ``.safetensors``, ``.pth``, ``.pt`` or ``.bin`` file.

    Raises:
        WeightsError: The file can't be read, wants to run code, or holds something else.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"can't be read: {error.strerror}", where=str(path)) from error
    held = _load_safetensors(path) if _is_safetensors(path) else _load_pickle(path)
    tensors = _only_tensors(_unwrap(held), path)
    return WeightsFile(_without_prefixes(tensors), digest)


def _is_safetensors(path: Path) -> bool:
    return path.suffix.lower() == ".safetensors"


def _load_safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"is damaged or no safetensors file: {error}",
            where=str(path),
            mend="Fetch it again.",
        ) from error


def _load_pickle(path: Path) -> Any:
    """Load a pickle as data: `weights_only` builds tensors and containers and runs no code."""
    try:
        # timm's own checkpoints carry their command line as a Namespace, which runs nothing.
        with torch.serialization.safe_globals([Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"is refused: it holds more than tensors, and to load that would run its code"
            f"{_unsafe_names(path)}",
            where=str(path),
            mend=_SAFE_MEND,
        ) from error
    except Exception as error:  # a damaged file raises nearly anything, from deep inside torch
        raise WeightsError(
            f"is damaged or no PyTorch weights file: {str(error).splitlines()[0][:200]}"
            if str(error)
            else "is damaged or no PyTorch weights file",
            where=str(path),
            mend="Fetch it again, or convert it to safetensors.",
        ) from error


def _unsafe_names(path: Path) -> str:
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # only zip archives can be looked into
        return ""
    return f" ({listed(sorted(names))})" if names else ""


def _unwrap(held: Any) -> Any:
    for _ in range(3):
        if not isinstance(held, Mapping):
            break
        inner = next((held[key] for key in _WRAPPERS if isinstance(held.get(key), Mapping)), None)
        if inner is None:
            break
        held = inner
    return held


def _only_tensors(held: Any, path: Path) -> dict[str, torch.Tensor]:
    if not isinstance(held, Mapping) or not held:
        raise WeightsError(
            f"holds no named tensors but a {type(held).__name__}", where=str(path), mend=_SAFE_MEND
        )
    others = [str(key) for key, value in held.items() if not _is_plain_tensor(key, value)]
    if others:
        raise WeightsError(
            f"holds entries that are no plain tensors: {listed(others)}",
            where=str(path),
            mend=_SAFE_MEND,
        )
    largest = path.stat().st_size
    swollen = [str(k) for k, v in held.items() if v.numel() * v.element_size() > largest]
    if swollen:
        raise WeightsError(
            f"claims tensors larger than the file itself: {listed(swollen)}", where=str(path)
        )
    return {str(key): value for key, value in held.items()}


def _is_plain_tensor(key: Any, value: Any) -> bool:
    return (
        isinstance(key, str)
        and isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and not value.is_complex()
    )


def _without_prefixes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors without a prefix that all their names share."""
    tensors = {name: value for name, value in tensors.items() if name != _SWA_COUNTER}
    while True:
        shared = [p for p in _PREFIXES if tensors and all(n.startswith(p) for n in tensors)]
        if not shared:
            return tensors
        tensors = {name.removeprefix(shared[0]): value for name, value in tensors.items()}
