"""The checksums of a PNG file's pixels, which Pillow passes over.

Pixels that a copy lost (zeros from somewhere on) can decode to garbage without an error.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import io

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BLOCK = 2**20


def pixels_are_damaged(file: io.BufferedReader) -> bool:
    """Whether a chunk of pixels of a PNG file is not what it was; False for other formats.

    The file's position moves.
    """
    file.seek(0)
    if file.read(len(_SIGNATURE)) != _SIGNATURE:
        return False
    while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
        length = int.from_bytes(head[:4], "big")
        if head[4:] != b"IDAT":
            file.seek(length + 4, 1)
        elif _checksum(file, length, head[4:]) != file.read(4):
            return True
    return False


def _checksum(file: io.BufferedReader, length: int, kind: bytes) -> bytes:
    total = zlib.crc32(kind)
    while length > 0 and (block := file.read(min(length, _BLOCK))):
        total, length = zlib.crc32(block, total), length - len(block)
    return total.to_bytes(4, "big")
