"""One file from a web server: whole in the end, whatever becomes of the connection.

Bytes gather in a ``.part`` file, beside which a note says what the server called the file's
version. An interrupted download asks for the rest, under the condition that the version is still
the same; a server that doesn't do that sends all of it again.
"""

from __future__ import annotations

import http.client
import math
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from finetune.data.public.answers import Note, begin_of, length_of, version_of
from finetune.data.public.web import Broken, RangeRefused, ask, judged

if TYPE_CHECKING:
    from pathlib import Path

    from finetune.console import Reporter, Task

MIB = 2**20
MOST_BYTES = 2**38
"""Bytes at which a server is not listened to any longer where nobody says how many there are."""

_CHUNK = 2**18


@dataclass(frozen=True)
class Patience:
    """How long a server is put up with.

    Attributes:
        failures: After so many in a row, without a MiB gained, it is given up.
        wait: Seconds after the first failure; doubled with each.
        longest: The most seconds that are waited, also where the server asks for more.
        silence: Seconds without a byte that count as a failure.
    """

    failures: int = 5
    wait: float = 1.0
    longest: float = 60.0
    silence: float = 60.0


@dataclass
class Download:
    """A file on its way.

    Attributes:
        address: Where from.
        part: Where its bytes gather; it is whole once `run` comes back.
        title: What it is called on the screen.
        length: Bytes that are expected, where anybody says; the server's word counts for more.
        checked: Its digest will be compared, so that a rest can be asked for without a version.
        resumed: Whether its bytes come from more than one answer.
    """

    address: str
    part: Path
    title: str
    length: int | None
    checked: bool
    reporter: Reporter
    patience: Patience = field(default_factory=Patience)
    resumed: bool = False
    _meter: _Meter | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def run(self) -> None:
        """Download what is missing.

        Raises:
            Refused: The server won't give it.
            Broken: It failed too many times in a row.
            OSError: The disk is full, or can't be written to.
        """
        self._meter = None
        failures, furthest = 0, self._size()
        with self._stack:
            while not self._is_whole():
                try:
                    self._attempt()
                except Broken as error:
                    if self._size() >= furthest + MIB:
                        failures, furthest = 0, self._size()
                    failures += 1
                    if failures >= self.patience.failures:
                        raise
                    self._wait(error, failures)
                else:
                    return

    def forget(self) -> None:
        """Remove what there is of it."""
        self.part.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)

    def _attempt(self) -> None:
        have = self._usable()
        try:
            answer = ask(self.address, self._headers(have), self.patience.silence)
        except RangeRefused:
            self.forget()
            raise
        with answer:
            start = self._start(answer, have)
            self.resumed = self.resumed or start > 0
            length = length_of(answer, start)
            version = version_of(answer) or (self._known_version() if start else "")
            Note(self.address, version, length).write(self._note_path)
            self._show(length or self.length, start)
            self._copy(answer, start, length)

    def _headers(self, have: int) -> dict[str, str]:
        if not have:
            return {}
        version = self._known_version()
        condition = {"If-Range": version} if version else {}
        return {"Range": f"bytes={have}-", **condition}

    def _start(self, answer: http.client.HTTPResponse, have: int) -> int:
        """Where in the file the answer begins."""
        if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
            return 0
        same = version_of(answer) in ("", self._known_version())
        if have and begin_of(answer) == have and same:
            return have
        self.forget()
        raise Broken("sends another part than it was asked for")

    def _copy(self, answer: http.client.HTTPResponse, start: int, length: int | None) -> None:
        most = length or (2 * self.length if self.length else MOST_BYTES)
        with self.part.open("r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            while chunk := self._read(answer):
                file.write(chunk)
                self._moved(file.tell())
                if file.tell() > most:
                    raise Broken(f"sends more than {most:,} bytes")
            if length is not None and file.tell() < length:
                raise Broken(f"broke off at {file.tell():,} of {length:,} bytes")

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        # The disk's errors are OSErrors too, so that only what the network does is caught.
        try:
            return answer.read1(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise judged(error) from error

    def _usable(self) -> int:
        """Bytes in the part that can be gone on with."""
        note = self._note()
        return self._size() if note and (note.version or self.checked) else 0

    def _is_whole(self) -> bool:
        note = self._note()
        return note is not None and note.length == self._size()

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    @property
    def _note_path(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")

    def _note(self) -> Note | None:
        return Note.read(self._note_path, self.address)

    def _known_version(self) -> str:
        note = self._note()
        return note.version if note else ""

    def _show(self, length: int | None, start: int) -> None:
        if self._meter is None:
            total, done = math.ceil((length or 0) / MIB), start // MIB
            task = self.reporter.task(self.title, total, "MiB", done)
            self._meter = _Meter(self._stack.enter_context(task), done)
        self._moved(start)

    def _moved(self, position: int) -> None:
        if self._meter:
            self._meter.move(position)

    def _wait(self, error: Broken, failures: int) -> None:
        seconds = max(error.wait, self.patience.wait * 2 ** (failures - 1))
        seconds = min(seconds, self.patience.longest)
        self.reporter.say(f"{self.title}: {error.reason}. Trying again in {seconds:.0f} s.")
        time.sleep(seconds)


@dataclass
class _Meter:
    """A bar in whole MiB; it goes back where a file is begun anew."""

    task: Task
    shown: int

    def move(self, position: int) -> None:
        now = math.ceil(position / MIB)
        if now != self.shown:
            self.task.advance(now - self.shown)
            self.shown = now
