from __future__ import annotations

import hashlib
import os
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from finetune.errors import WeightsError
from finetune.model.weight_files import read_weights

TENSORS = {"conv.weight": torch.arange(12.0).reshape(3, 4), "fc.bias": torch.ones(3)}


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in TENSORS.items()}


WRAPPINGS: dict[str, Any] = {
    "plain": TENSORS,
    "ordered": OrderedDict(TENSORS),
    "state_dict": {"state_dict": TENSORS, "epoch": 3},
    "model": {"model": TENSORS, "args": Namespace(lr=0.1)},
    "model_state_dict": {"model_state_dict": TENSORS, "loss": 0.5},
    "averaged": {"state_dict": {"x": torch.zeros(1)}, "state_dict_ema": TENSORS},
    "parallel": prefixed("module."),
    "compiled": prefixed("_orig_mod."),
    "lightning": {"state_dict": prefixed("model."), "pytorch-lightning_version": "2.6.6"},
    "lightning compiled": {"state_dict": prefixed("model._orig_mod.")},
    "backbone": prefixed("backbone."),
    "weight average": {"n_averaged": torch.tensor(3)} | prefixed("module."),
}


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_wrappings_come_off(tmp_path: Path, wrapping: str, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    torch.save(WRAPPINGS[wrapping], path)
    check(path)


@pytest.mark.parametrize("prefix", ["", "module.", "model."])
def test_safetensors(tmp_path: Path, prefix: str) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(prefixed(prefix), path)
    check(path)


def test_the_format_before_zip(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save(TENSORS, path, _use_new_zipfile_serialization=False)
    check(path)


def check(path: Path) -> None:
    read = read_weights(path)
    assert read.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(read.tensors[name], TENSORS[name]) for name in TENSORS)
    assert read.digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_prefix_that_only_some_share_stays(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"model.a": torch.ones(1), "b": torch.ones(1)}, path)
    assert set(read_weights(path).tensors) == {"model.a", "b"}


class Evil:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path: Path, zipped: bool) -> None:
    proof = tmp_path / "ran"
    path = tmp_path / "evil.pth"
    torch.save(
        {"a": torch.ones(1), "b": Evil(f"touch {proof}")},
        path,
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(WeightsError, match="to load that would run its code") as caught:
        read_weights(path)
    assert not proof.exists()
    assert "torch.save(model.state_dict(), FILE)" in str(caught.value)


def test_a_whole_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.pth"
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(WeightsError, match=r"is refused.*Linear"):
        read_weights(path)


@pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants:UserWarning")
@pytest.mark.parametrize(
    ("held", "told"),
    [
        ([torch.ones(1)], "but a list"),
        ({}, "but a dict"),
        ({"a": torch.ones(1), "step": 3}, "no plain tensors: step"),
        ({"a": torch.eye(3).to_sparse()}, "no plain tensors: a"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "no plain tensors: a"),
        ({"a": torch.ones(1).expand(10**9)}, "larger than the file itself: a"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, held: Any, told: str) -> None:
    path = tmp_path / "weights.pth"
    torch.save(held, path)
    with pytest.raises(WeightsError, match=told):
        read_weights(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".bin"])
@pytest.mark.parametrize("cut", [0, 8, -8])
def test_damaged_files_are_told(tmp_path: Path, suffix: str, cut: int) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(TENSORS, path)
    else:
        torch.save(TENSORS, path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(WeightsError) as caught:
        read_weights(path)
    assert caught.value.where == str(path)


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="can't be read"):
        read_weights(tmp_path)
