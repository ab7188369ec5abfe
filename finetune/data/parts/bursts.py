"""Shots of one camera in quick succession, by the time that EXIF gives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_EXIF_TIME = re.compile(r"\s*(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class Taken:
    """When an image was taken, and by what.

    Attributes:
        moment: By the camera's clock.
        camera: Make and model as EXIF has them; empty: not known, all such are one camera.
    """

    moment: datetime
    camera: str = ""


def read_taken(time: str, camera: str = "") -> Taken | None:
    """From EXIF's text, ``2024:05:31 09:12:07``; None where it holds no time."""
    match = _EXIF_TIME.match(time)
    if match is None:
        return None
    try:
        return Taken(datetime(*map(int, match.groups())), camera)  # type: ignore[arg-type]
    except ValueError:  # 0000:00:00 00:00:00, where the clock was never set
        return None


def bursts(
    taken: Sequence[Taken | None], paths: Sequence[str], minutes: float
) -> dict[str, list[int]]:
    """Images by the burst that they belong to, each under the first of its paths.

    Images of one camera are of one burst if each was taken ``minutes`` at most after the one
    before. An image without a neighbour is in none.

    Args:
        taken: Of each image, ``[N]``.
        paths: Of each image, ``[N]``.
        minutes: Above 0.
    """
    gap = timedelta(minutes=minutes)
    timed = [(shot.camera, shot.moment, place) for place, shot in enumerate(taken) if shot]
    runs: list[list[int]] = []
    camera, moment = "", datetime.min
    for here, now, place in sorted(timed):
        if runs and here == camera and now - moment <= gap:
            runs[-1].append(place)
        else:
            runs.append([place])
        camera, moment = here, now
    return {f"burst: {min(paths[place] for place in run)}": run for run in runs if run[1:]}
