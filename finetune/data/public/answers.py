"""What a server's answer says of the file that it belongs to."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from finetune.files import write_json

if TYPE_CHECKING:
    import http.client
    from pathlib import Path

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True)
class Note:
    """What is known of the server's file, to go on with it.

    Attributes:
        address: Whose it is.
        version: The strong ``ETag``, or the date of its last change; empty: the server says none.
        length: Of the whole file; None: the server doesn't say.
    """

    address: str
    version: str
    length: int | None

    @classmethod
    def read(cls, path: Path, address: str) -> Note | None:
        """The note on that address; None where there is none, or it is damaged."""
        try:
            note = cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return note if note.address == address else None

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        write_json(path, asdict(self))


def begin_of(answer: http.client.HTTPResponse) -> int | None:
    """Where in the file a partial answer begins; None where it doesn't say."""
    match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def length_of(answer: http.client.HTTPResponse, start: int) -> int | None:
    """Bytes of the whole file, of which the answer has those from ``start`` on."""
    match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if start and match:
        return None if match[3] == "*" else int(match[3])
    said = answer.headers.get("Content-Length", "")
    return int(said) if said.isascii() and said.isdigit() else None


def version_of(answer: http.client.HTTPResponse) -> str:
    """What may stand in ``If-Range``; empty where nothing may.

    A weak ETag says nothing of bytes (RFC 9110, section 8.8.1).
    """
    tag = str(answer.headers.get("ETag", ""))
    strong = tag.startswith('"') and tag.endswith('"')
    return tag if strong else str(answer.headers.get("Last-Modified", ""))
