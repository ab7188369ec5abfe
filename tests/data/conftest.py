from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@dataclass
class Recorder:
    """A reporter that remembers what it was told."""

    said: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    advanced: int = 0

    def say(self, message: str) -> None:
        self.said.append(message)

    def warn(self, message: str) -> None:
        self.warned.append(message)

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        raise AssertionError("reading data shows no table")

    @contextmanager
    def task(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Counter]:
        counter = Counter(self, done)
        yield counter
        assert counter.done == total


@dataclass
class Counter:
    """A task of a recorder."""

    recorder: Recorder
    done: int

    def rename(self, title: str) -> None:
        pass

    def advance(self, count: int = 1, **scores: float) -> None:
        self.done += count
        self.recorder.advanced += count


@pytest.fixture
def told() -> Recorder:
    return Recorder()


def _write(path: Path, seed: int = 0, size: tuple[int, int] = (9, 7), **options: Any) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def write_image() -> Callable[..., Path]:
    return _write


@pytest.fixture
def write_folder(tmp_path: Path) -> Callable[[Mapping[str, int]], Path]:
    """Writes so many images into each folder, all different, and gives the root."""

    def write(counts: Mapping[str, int]) -> Path:
        root = tmp_path / "photos"
        root.mkdir(exist_ok=True)
        for place, (folder, count) in enumerate(counts.items()):
            (root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                _write(root / folder / f"{number}.png", seed=1000 * place + number)
        return root

    return write


@dataclass
class Host:
    """A web server on 127.0.0.1 whose every answer is a function that a test gives.

    Attributes:
        answers: By path; of several the first is given first, and the last again and again.
        asked: The headers of each request by path, in their order.
    """

    answers: dict[str, list[Callable[[BaseHTTPRequestHandler], None]]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    address: str = ""

    def give(self, path: str, *answers: Callable[[BaseHTTPRequestHandler], None]) -> str:
        self.answers[path] = list(answers)
        return f"{self.address}{path}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append((handler.path, dict(handler.headers)))
        waiting = self.answers[handler.path]
        (waiting.pop(0) if len(waiting) > 1 else waiting[0])(handler)

    def ranges(self) -> list[str]:
        return [headers.get("Range", "") for _, headers in self.asked]


def send(
    body: bytes,
    *,
    status: int = 200,
    length: int | None = -1,
    sent: int | None = None,
    ranges: bool = True,
    **headers: str,
) -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer with ``body``: whole, or from where the request says.

    Args:
        body: The whole file.
        status: Of a whole answer.
        length: What is said of it; -1: the truth; None: nothing.
        sent: After so many bytes of the answer the connection breaks; None: never.
        ranges: Whether a request for the rest is understood.
        headers: Further ones; ``_`` stands for ``-``.
    """
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(handler: BaseHTTPRequestHandler) -> None:
        begin, code, extra = 0, status, dict(named)
        asked, condition = handler.headers.get("Range"), handler.headers.get("If-Range")
        if ranges and asked and condition in (None, named.get("ETag")):
            begin, code = int(asked.removeprefix("bytes=").removesuffix("-")), 206
            extra = {"Content-Range": f"bytes {begin}-{len(body) - 1}/{len(body)}", **extra}
        rest = body[begin:]
        handler.send_response(code)
        for name, value in extra.items():
            handler.send_header(name, value)
        if length is not None:
            handler.send_header("Content-Length", str(len(rest) if length < 0 else length))
        handler.end_headers()
        handler.wfile.write(rest[:sent])
        handler.close_connection = True

    return answer


@pytest.fixture(name="send")
def send_fixture() -> Callable[..., Callable[[BaseHTTPRequestHandler], None]]:
    return send


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("NO_PROXY", "*")
    site = Host()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with suppress(ConnectionError):  # whoever asked may have gone
                site.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        site.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield site
        server.shutdown()
        thread.join()
