"""What is too large to be decoded, or cut off, judged before any memory is taken for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finetune.text import byte_size

if TYPE_CHECKING:
    from PIL import Image

_BYTES_A_PIXEL = 16  # four numbers of 32 bits: the widest pixel that the formats have
_BYTES_BESIDE = 64 * 2**20  # previews, colour profiles, notes of the camera
_TILE_WIDTH, _TILE_LENGTH = 322, 323  # TIFF's tags


def too_many_bytes(size: int, max_pixels: int) -> str:
    """A word where a file has more bytes than its picture can need; some decoders read them all."""
    if size <= _BYTES_A_PIXEL * max_pixels + _BYTES_BESIDE:
        return ""
    return f"{byte_size(size)}, more than data.max_pixels ({max_pixels:,}) pixels can take"


def too_many_pixels(width: int, height: int, max_pixels: int) -> str:
    """A word where there are more than ``max_pixels``."""
    if width * height <= max_pixels:
        return ""
    return f"{width:,} x {height:,} pixels, over data.max_pixels ({max_pixels:,})"


def webp_is_cut_off(beginning: bytes, size: int) -> bool:
    """Whether a WebP file says that it has more bytes than its ``size``."""
    is_webp = beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP"
    return is_webp and int.from_bytes(beginning[4:8], "little") + 8 > size


def webp_canvas(beginning: bytes) -> tuple[int, int]:
    """Width and height of an extended WebP file by its first 30 bytes; zeros for any other.

    The decoder takes memory for it when the file is opened.
    """
    if beginning[:4] != b"RIFF" or beginning[8:16] != b"WEBPVP8X" or len(beginning) < 30:
        return 0, 0
    width, height = (int.from_bytes(beginning[at : at + 3], "little") + 1 for at in (24, 27))
    return width, height


def largest_piece(image: Image.Image) -> tuple[int, int]:
    """Width and height of what is decoded at once: the image, or a TIFF's larger tile."""
    tags = getattr(image, "tag_v2", {})
    tile = tags.get(_TILE_WIDTH, 0), tags.get(_TILE_LENGTH, 0)
    if all(isinstance(side, int) for side in tile) and tile[0] * tile[1] > _area(image.size):
        return tile
    return image.size


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]
