from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from finetune.training.checkpoints import clear, phase_store


def test_a_finished_phase_gives_back_what_it_was_given(tmp_path: Path) -> None:
    store = phase_store(tmp_path, "fold-1", 0, "probe")
    assert not store.finished
    state = {"a": torch.randn(2, 3).T, "n": torch.tensor(3)}
    store.folder.mkdir(parents=True)
    store.running.write_bytes(b"checkpoint of the phase under way")
    store.finish({"l2": 0.1}, state, judged=np.eye(3)[::2])
    again = phase_store(tmp_path, "fold-1", 0, "probe")
    assert again.finished
    assert not again.running.exists()
    assert again.record() == {"l2": 0.1}
    assert all(torch.equal(again.state()[name], value) for name, value in state.items())
    assert np.array_equal(again.arrays()["judged"], np.eye(3)[::2])


def test_phases_do_not_share_a_place(tmp_path: Path) -> None:
    places = {
        phase_store(tmp_path, fit, position, name).folder
        for fit in ("main", "fold-1")
        for position, name in enumerate(("a.b", "a_b"))
    }
    assert len(places) == 4


def test_what_is_no_longer_needed_goes(tmp_path: Path) -> None:
    phase_store(tmp_path / "c", "main", 0, "p").finish({}, {"a": torch.ones(1)})
    clear(tmp_path / "c")
    assert not (tmp_path / "c").exists()
    clear(tmp_path / "c")
