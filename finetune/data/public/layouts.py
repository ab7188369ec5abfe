"""How the archives of a public data set are to be read: one class for each kind of layout."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Part = Literal["train", "val", "test"]


def _inside(place: str) -> str:
    if place.startswith("/") or "\\" in place or ".." in place.split("/"):
        raise ValueError("must be a path inside the archives, with /")
    return place


Place = Annotated[str, AfterValidator(_inside)]
"""A path inside what the archives hold, with ``/``."""

Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A part of a descriptor: immutable; an unknown key and a value of another type are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Folders(Section):
    """Class folders in the archives.

    Attributes:
        parts: The folder that holds the class folders, of each part; ``all`` where there are none.
        skip: Names of class folders and files that are passed over.
        nested: An archive inside the archive that is unpacked too.
    """

    kind: Literal["folders"]
    parts: dict[Part | Literal["all"], Place]
    skip: tuple[str, ...] = ()
    nested: Place | None = None


class Lists(Section):
    """A text file for each part that names its images, a line each.

    Attributes:
        parts: The list of each part.
        images: The folder that the names are relative to.
        suffix: What the names lack.
        label: Where the class stands: the ``folder`` of the name; its ``stem`` before the last
            ``_``; or the ``rest`` of the line.
    """

    kind: Literal["lists"]
    parts: dict[Part, Place]
    images: Place
    suffix: str = ""
    label: Literal["folder", "stem", "rest"]


class Birds(Section):
    """The tables of CUB-200-2011, which go by an image's number, in ``root``."""

    kind: Literal["birds"]
    root: Place


class Flowers(Section):
    """The matrices of Oxford Flowers 102: ``labels`` and ``splits``; pictures in ``images``."""

    kind: Literal["flowers"]
    images: Place
    labels: Place
    splits: Place


class Cars(Section):
    """The matrices of Stanford Cars.

    Attributes:
        names: The matrix with the names of the classes.
        parts: The matrix of each part that has the files and their classes.
        images: The folder of each part.
    """

    kind: Literal["cars"]
    names: Place
    parts: dict[Part, Place]
    images: dict[Part, Place]


class Patches(Section):
    """Arrays in HDF5: ``x`` ``[N, H, W, 3]`` in ``images``, ``y`` ``[N, 1, 1, 1]`` in ``labels``.

    A label is the index of its class in the descriptor's ``classes``.
    """

    kind: Literal["patches"]
    images: dict[Part, Place]
    labels: dict[Part, Place]


class BuiltIn(Section):
    """Comes with a library that is installed anyway; nothing is downloaded."""

    kind: Literal["built_in"]


Layout = Annotated[
    Folders | Lists | Birds | Flowers | Cars | Patches | BuiltIn, Field(discriminator="kind")
]
