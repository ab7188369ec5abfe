"""Passwords in addresses, kept off the screen."""

from __future__ import annotations

import re

_USER = re.compile(r"//[^/@\s]*@")


def without_password(text: str) -> str:
    """``text`` without what stands before the host of the addresses in it."""
    return _USER.sub("//", text)
