"""Why a file can't be read, in words that a photographer understands."""

from __future__ import annotations

import errno
from pathlib import Path

from finetune.data.files.colour import UnknownRange
from finetune.text import printable

TRUNCATED = "truncated: the end of the image is missing"
"""Of a download or a copy that was cut off."""

# How Pillow's decoders say that there is no more to read.
_CUT_OFF = ("truncated", "unexpected end", "cannot load this image", "not enough image data")
_TOO_MUCH_TEXT = "MAX_TEXT_"  # the names of Pillow's limits
_SHOWN = 120


def not_opened(path: Path, error: OSError | ValueError) -> str:
    """Why the system refuses to open the file at ``path``."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOENT, errno.ENOTDIR):
        return "broken link" if path.is_symlink() else "no such file"
    if number == errno.ELOOP:
        return "a link that leads back to itself"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if number == errno.ENAMETOOLONG:
        return "its name is too long"
    return f"can't be opened: {_words(error)}"


def not_decoded(error: Exception) -> str:
    """Why there is no picture in a file that was opened."""
    if isinstance(error, UnknownRange):
        return str(error)
    if isinstance(error, MemoryError):
        return "too large for the memory"
    if isinstance(error, OSError) and error.errno is not None:
        return f"can't be read: {_words(error)}"
    message = str(error)
    if isinstance(error, EOFError) or any(words in message.casefold() for words in _CUT_OFF):
        return TRUNCATED
    if _TOO_MUCH_TEXT in message:
        return "more text, or a larger colour profile, in it than is read"
    return f"damaged, or of a kind that is not read ({_words(error)})"


def _words(error: Exception) -> str:
    """A decoder's or the system's own words, on one line."""
    words = " ".join(str(getattr(error, "strerror", None) or error).split())
    return printable(words[:_SHOWN]) or type(error).__name__
