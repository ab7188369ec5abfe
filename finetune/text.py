"""Names that come from the user's data, made safe to show and to store.

File and class names can hold anything but ``/`` and NUL: terminal escapes, newlines, bytes that
are no UTF-8 (which Python carries as lone surrogates), a leading ``=`` that a spreadsheet would
run as a formula. `printable` is for eyes; `to_cell` and `from_cell` are for our own CSV files
and lose nothing.
"""

from __future__ import annotations

import re
import sys

_FORMULA_STARTS = ("=", "+", "-", "@", "'")


def _escape(character: str) -> str:
    code = ord(character)
    if character == "\\":
        return "\\\\"
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:
        return f"\\u{code:04x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


# C0 and C1 controls, line and paragraph separators, bidirectional overrides, surrogates.
_UNSAFE = "\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_UNSAFE_ONLY = re.compile(f"[{_UNSAFE}]")
_UNSAFE_OR_BACKSLASH = re.compile(f"[\\\\{_UNSAFE}]")
_ESCAPED = re.compile(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


def printable(name: str) -> str:
    r"""``name`` with everything that a terminal would obey written as ``\u001b`` and the like."""
    return _UNSAFE_ONLY.sub(lambda match: _escape(match.group()), name)


def to_cell(name: str) -> str:
    """``name`` as a CSV cell that is plain UTF-8 text and that no spreadsheet runs.

    Backslashes are doubled, unsafe characters escaped as in `printable`, and a leading ``= + - @``
    or ``'`` gets a ``'`` before it (a number like ``-1`` doesn't). `from_cell` gives the name back.
    """
    if name.isalnum() and name.isascii():  # most are, and there are millions
        return name
    cell = _UNSAFE_OR_BACKSLASH.sub(lambda match: _escape(match.group()), name)
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) and not _is_number(cell) else cell


def from_cell(cell: str) -> str:
    """The name that `to_cell` wrote as ``cell``."""
    cell = cell.removeprefix("'")
    return _ESCAPED.sub(_unescape, cell) if "\\" in cell else cell


def _unescape(match: re.Match[str]) -> str:
    code = match.group(1)
    if code == "\\":
        return "\\"
    value = int(code[1:], 16)
    if value > sys.maxunicode:  # nothing that `to_cell` writes, but people edit such files
        return match.group()
    return chr(0xDC00 + value) if code[0] == "x" else chr(value)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def plural(count: int, noun: str, plural_noun: str = "") -> str:
    """``1 image``, ``2 images``: the count with its noun; thousands are set apart by commas."""
    return f"{count:,} {noun if count == 1 else plural_noun or noun + 's'}"


def listed(names: list[str] | tuple[str, ...], at_most: int = 8) -> str:
    """The names, safe to show, joined by commas; ``and 12 more`` past ``at_most`` of them."""
    shown = ", ".join(printable(name) for name in names[:at_most])
    return f"{shown} and {len(names) - at_most:,} more" if len(names) > at_most else shown


def rate(per_second: float) -> str:
    """``1,180``, ``34``, ``5.2``: units a second, to two or more digits."""
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"


def byte_size(count: int) -> str:
    """A number of bytes as a person says it: ``640 MiB``, ``3.4 GiB``."""
    return f"{count / 2**20:.0f} MiB" if count < 2**30 else f"{count / 2**30:.1f} GiB"


def duration(seconds: float) -> str:
    """``45 s``, ``3 min``, ``1 h 20 min``: a time to wait, as a person would say it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
