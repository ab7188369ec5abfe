"""A pattern searched in paths, by a process of its own, which can be ended.

There are patterns that take longer than a life on a path of 40 letters, such as ``(a+)+$``, and
Python's search can't be told to give up. So this file is also a program: it reads a pattern and
paths as JSON from its input and writes the matches as JSON. It imports nothing of this package.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from collections.abc import Sequence

SECONDS = 20.0
"""The least that a search may take; sound patterns take microseconds a path."""

_SECONDS_A_PATH = 1e-4


def matches(pattern: str, paths: Sequence[str], seconds: float = SECONDS) -> list[str]:
    """What ``pattern`` finds in each path, ``[N]``; empty where it finds nothing.

    That is what its groups captured, joined by ``/``, or the whole match where it has none.

    Args:
        pattern: A regular expression that compiles.
        paths: Of any text.
        seconds: How long it may take, beside 0.1 ms a path.

    Raises:
        TimeoutError: It takes longer.
    """
    command = [sys.executable, "-I", "-S", __file__]
    given = json.dumps([pattern, list(paths)]).encode("ascii")
    limit = seconds + _SECONDS_A_PATH * len(paths)
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=limit, check=True)
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"{limit:.0f} s") from error
    found: list[str] = json.loads(done.stdout)
    return found


def found_in(path: str, pattern: re.Pattern[str]) -> str:
    """What `matches` gives for one path."""
    match = pattern.search(path)
    if match is None:
        return ""
    captured = [part for part in match.groups() if part]
    return "/".join(captured) if pattern.groups else match.group()


def _main() -> None:
    warnings.simplefilter("ignore")  # of forms that Python may read otherwise one day
    text, paths = json.load(sys.stdin.buffer)
    pattern = re.compile(text)
    json.dump([found_in(path, pattern) for path in paths], sys.stdout)


if __name__ == "__main__":
    _main()
