from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from finetune.recipe.schema import ModelOptions

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give every tensor values of its own, so that no two can be mistaken for each other."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            drawn = torch.randn(value.shape, generator=generator) * (
                0.05 if value.ndim > 1 else 0.2
            )
            if name.endswith("running_var"):
                drawn = drawn.abs() + 0.5
            elif value.ndim == 1 and name.endswith("weight"):
                drawn = drawn + 1
            value.copy_(drawn)
    return model.eval()


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small networks on a shared machine are quickest, and repeatable, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def make_model() -> Callable[..., nn.Module]:
    def make(name: str = "test_resnet", num_classes: int = 1000, **options: object) -> nn.Module:
        model = timm.create_model(name, pretrained=False, num_classes=num_classes, **options)
        return randomised(model)

    return make


@pytest.fixture
def options() -> Callable[..., ModelOptions]:
    return lambda **values: ModelOptions.model_validate(values)


@pytest.fixture
def weights_file(tmp_path: Path, make_model: Callable[..., nn.Module]) -> Path:
    path = tmp_path / "weights.safetensors"
    save_file(make_model().state_dict(), path)
    return path


@dataclass
class HubServer:
    """A model hub on 127.0.0.1: it answers as told, and counts what it is asked."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    behaviour: str = "serve"
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Handler(http.server.BaseHTTPRequestHandler):
    hub: ClassVar[HubServer]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *args: object) -> None:
        pass

    def _answer(self, body: bool) -> None:
        self.hub.asked.append(f"{self.command} {self.path}")
        content = self.hub.files.get(self.path)
        if self.hub.behaviour == "hang":
            threading.Event().wait(30)
        elif self.hub.behaviour == "error":
            self._refuse(503, "Down")
        elif content is None:
            repo = self.path.split("/resolve/")[0]
            known = any(path.startswith(f"{repo}/resolve/") for path in self.hub.files)
            self._refuse(404, "EntryNotFound" if known else "RepoNotFound")
        else:
            self._serve(content, body)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _serve(self, content: bytes, body: bool) -> None:
        digest = hashlib.sha256(content).hexdigest()
        self.send_response(200)
        if self.hub.behaviour != "stranger":
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("X-Linked-Etag", f'"{digest}"')
            self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("ETag", f'"{digest}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self._send(content)

    def _send(self, content: bytes) -> None:
        if self.hub.behaviour == "altered":
            content = content[:-1] + bytes([content[-1] ^ 1])
        if self.hub.behaviour == "stall":
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            threading.Event().wait(30)
        else:
            self.wfile.write(content)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub that `huggingface_hub` in this process asks, with an empty cache."""
    from huggingface_hub import constants

    served = HubServer()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Bound", (Handler,), {"hub": served})
    )
    server.daemon_threads = True
    server.block_on_close = False
    served.port = server.server_address[1]
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    ).start()
    template = served.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", served.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield served
    server.shutdown()
    server.server_close()
