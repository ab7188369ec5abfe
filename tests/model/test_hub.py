from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save
from torch import nn

from finetune.cli import main
from finetune.errors import HubUnreachable, WeightsError
from finetune.model.backbone import load_backbone
from finetune.model.hub import HubSource, cached, endpoint, fetch, probe
from finetune.model.weights import choose_weights

SOURCE = HubSource("timm/tiny")
PLACE = "/timm/tiny/resolve/main/model.safetensors"


def test_a_file_is_downloaded_once(hub: Any) -> None:
    hub.files[PLACE] = b"tensors"
    path = fetch(SOURCE)
    assert path.read_bytes() == b"tensors"
    asked = len(hub.asked)
    assert fetch(SOURCE) == path
    assert len(hub.asked) == asked


def test_the_cache_is_enough_when_the_hub_is_gone(
    hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files[PLACE] = b"tensors"
    path = fetch(SOURCE)
    hub.behaviour = "error"
    assert fetch(SOURCE) == path
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch(SOURCE) == path


def test_an_older_repository_has_a_bin_file(hub: Any) -> None:
    hub.files["/timm/tiny/resolve/main/pytorch_model.bin"] = b"pickle"
    assert fetch(SOURCE).name == "pytorch_model.bin"


def test_offline_without_cache_names_the_ways_on(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubUnreachable, match="HF_HUB_OFFLINE") as caught:
        fetch(SOURCE)
    assert hub.asked == []
    for way in (
        "--weights FILE",
        "--weights none",
        "from_scratch",
        "HF_ENDPOINT",
        "copy the cache",
    ):
        assert way in str(caught.value)


def test_a_hub_that_never_answers_costs_less_than_five_seconds(hub: Any) -> None:
    hub.behaviour = "hang"
    started = time.monotonic()
    with pytest.raises(HubUnreachable, match="timm/tiny"):
        fetch(SOURCE)
    assert time.monotonic() - started < 5


def test_looking_up_a_name_is_bounded_too(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: threading.Event().wait(30))
    monkeypatch.setattr("finetune.model.hub.ANSWER_WITHIN", 0.5)
    with pytest.raises(HubUnreachable, match=r"did not answer in 0.5 seconds"):
        fetch(SOURCE)


def test_a_refused_connection_is_told_at_once(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    started = time.monotonic()
    with pytest.raises(HubUnreachable, match="can't be reached"):
        fetch(SOURCE)
    assert time.monotonic() - started < 3
    assert endpoint() == address


@pytest.mark.parametrize(
    ("behaviour", "told"), [("error", "answers 503"), ("stranger", "is no model hub")]
)
def test_an_answer_that_is_no_use(hub: Any, behaviour: str, told: str) -> None:
    hub.files[PLACE] = b"tensors"
    hub.behaviour = behaviour
    with pytest.raises(HubUnreachable, match=told):
        fetch(SOURCE)


def test_a_missing_repository_is_named(hub: Any) -> None:
    with pytest.raises(WeightsError, match=r"has no timm/tiny at main") as caught:
        fetch(SOURCE)
    assert not isinstance(caught.value, HubUnreachable)


def test_a_repository_without_weights_is_named(hub: Any) -> None:
    hub.files["/timm/tiny/resolve/main/README.md"] = b""
    with pytest.raises(
        WeightsError, match=r"none of model.safetensors, pytorch_model.bin in timm/t"
    ):
        fetch(SOURCE)


def test_altered_bytes_are_noticed(hub: Any) -> None:
    hub.files[PLACE] = b"tensors"
    hub.behaviour = "altered"
    with pytest.raises(WeightsError, match="damaged"):
        fetch(SOURCE)


def test_a_damaged_cache_is_noticed(hub: Any) -> None:
    hub.files[PLACE] = b"tensors"
    stored = fetch(SOURCE).resolve()
    stored.write_bytes(b"tensorz")
    with pytest.raises(WeightsError, match="damaged"):
        fetch(SOURCE)


def test_a_stalled_download_ends_in_a_clear_error(
    hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.1)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    hub.files[PLACE] = b"tensors" * 100
    hub.behaviour = "stall"
    with pytest.raises(HubUnreachable, match="broke off"):
        fetch(SOURCE)
    assert cached(SOURCE) is None


def test_probe_asks_for_the_default_weights_and_downloads_nothing(hub: Any) -> None:
    hub.files["/timm/resnet50.tv_in1k/resolve/main/model.safetensors"] = b"tensors"
    probe()
    assert hub.asked == ["HEAD /timm/resnet50.tv_in1k/resolve/main/model.safetensors"]


def test_a_backbone_from_the_hub(
    hub: Any, make_model: Callable[..., nn.Module], options: Callable[..., Any]
) -> None:
    state = make_model("test_resnet").state_dict()
    hub.files["/timm/test_resnet.r160_in1k/resolve/main/model.safetensors"] = save(state)
    choice = choose_weights(options(backbone="test_resnet"), None, None)
    assert hub.asked == []
    loaded = load_backbone(choice, 3, seed=1)
    assert loaded.report.source == "hub: timm/test_resnet.r160_in1k"
    assert loaded.report.architecture == "test_resnet.r160_in1k"
    got = loaded.model.state_dict()
    assert all(torch.equal(got[name], state[name]) for name in state if not name.startswith("fc."))


def test_environment_variables_are_honoured(hub: Any, tmp_path: Path) -> None:
    hub.files[PLACE] = b"tensors"
    home = tmp_path / "home"
    environment = os.environ | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_OFFLINE": "0",
    }
    code = "from finetune.model.hub import HubSource, fetch; print(fetch(HubSource('timm/tiny')))"
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert Path(run.stdout.strip()).is_relative_to(home)
    offline = environment | {"HF_HUB_OFFLINE": "1"}
    again = subprocess.run(
        [sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=True
    )
    assert again.stdout == run.stdout


def test_train_without_a_hub_ends_before_a_look_at_the_images(
    hub: Any,
    photos: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hub.behaviour = "hang"
    seen: list[object] = []
    monkeypatch.setattr("finetune.api.planning.read_data", lambda *given: seen.append(given))
    monkeypatch.setattr(sys, "argv", ["finetune", "train", str(photos({"a": 4, "b": 4}))])
    started = time.monotonic()
    with pytest.raises(SystemExit) as ended:
        main()
    # The five seconds count from the first request; imports come before it.
    assert time.monotonic() - started < 5 + 10
    assert ended.value.code == 2
    assert not seen
    shown = capsys.readouterr().err
    for way in ("--weights FILE", "--weights none", "--recipe from_scratch", "HF_ENDPOINT"):
        assert way in shown
