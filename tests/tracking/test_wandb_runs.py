"""Weights & Biases offline: what it wrote is read back from its own files."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune.recipe.schema import Recipe
from finetune.run import RunDirectory
from finetune.tracking.contents import beginning_of, ending_of, epoch_of
from finetune.tracking.wandb_runs import WandbRun

WHY = "Weights & Biases is not installed: pip install 'finetune-vision[wandb]'"


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing in the environment, which means offline, and a home of its own."""
    for name in ("WANDB_MODE", "WANDB_PROJECT", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    for name in ("WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    wandb = pytest.importorskip("wandb", reason=WHY)
    yield
    wandb.teardown()


def wandb_ended() -> None:
    """What writes the files is a process of its own, which is done when it has ended."""
    import wandb

    wandb.teardown()


def records(folder: Path) -> list[Any]:
    """What lies in the log of an offline run: pieces in blocks of 32 KiB, as LevelDB's logs."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.glob("*.wandb")
    data, at, found, whole = file.read_bytes(), 7, [], b""
    while at < len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last of its pieces
            found.append(Record.FromString(whole))
            whole = b""
    return found


def of(kind: str, found: list[Any]) -> list[Any]:
    return [getattr(each, kind) for each in found if each.WhichOneof("record_type") == kind]


def history(found: list[Any]) -> list[dict[str, Any]]:
    rows = of("history", found)
    return [{i.key or i.nested_key[0]: json.loads(i.value_json) for i in r.item} for r in rows]


def test_a_run_that_goes_on_keeps_its_name_and_repeats_no_row(
    offline: None, complete: RunDirectory, recipe: Recipe, rows: list[dict[str, str]]
) -> None:
    beginning = beginning_of(complete, recipe)
    first = WandbRun(complete)
    known = first.start(beginning, "")
    assert first.place == f"wandb sync {complete.path}/wandb/offline-run-*"
    for step in (1, 2, 3):
        first.log(epoch_of(step, rows[step - 1], ["tune", "all"]))
    first.close()
    second = WandbRun(complete)
    assert second.start(beginning, known) == known
    second.log(epoch_of(4, rows[3], ["tune", "all"]))
    second.finish(ending_of(complete))
    wandb_ended()

    begun, gone_on = (records(f) for f in sorted(complete.wandb.glob("offline-run-*")))
    told = [(row["_step"], row.get("phase"), row.get("train_loss")) for row in history(begun)]
    assert told == [(1, None, None), (2, "tune", 0.6), (3, "tune", 0.5)]
    assert [(row["_step"], row["phase"]) for row in history(gone_on)] == [(4, "all")]
    assert history(begun)[0]["fold-1/train_loss"] == 0.7

    config = {item.key: json.loads(item.value_json) for item in of("run", begun)[0].config.update}
    assert config.items() >= dict(beginning.parameters).items()
    run = of("run", gone_on)[-1]
    assert (run.display_name, run.project) == ("photos-own-1", "finetune")
    assert list(run.tags) == ["photos", "all"]
    summary = {i.key: json.loads(i.value_json) for s in of("summary", gone_on) for i in s.update}
    assert (summary["test_accuracy_high"], summary["kept"]) == (0.95, "all")
    (artefact,) = of("artifact", gone_on)
    sent = {each.path for each in artefact.manifest.contents}
    assert {"environment.json", "metrics.json", "model/config.json", "images/1.jpg"} <= sent
    assert not any(path.startswith(("checkpoints", "notes", "wandb")) for path in sent)
