"""What a descriptor of a public data set says: its files, its form, its terms, its numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from finetune.data.public.layouts import Count, Layout, Part, Section


class Digest(Section):
    """What the bytes of a file come to: one of the two, in hex."""

    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Digest:
        if (self.md5 is None) == (self.sha256 is None):
            raise ValueError("must be md5 or sha256")
        return self

    @property
    def algorithm(self) -> str:
        """``md5`` or ``sha256``."""
        return "md5" if self.md5 else "sha256"

    @property
    def value(self) -> str:
        """Its hex digits."""
        return self.md5 or self.sha256 or ""

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"


class RemoteFile(Section):
    """A file of the data set, as its host has it.

    Attributes:
        name: What it is called on disk, and by a mirror.
        addresses: Where it is had from, tried in turn; none: it can only be got by hand.
        length: In bytes, where it is known.
        digest: Where one is known.
        take: Which of an archive's members are wanted, as patterns.
        source: Who says so.
        unverified: Which of the above nobody has compared with the host.
    """

    name: Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
    addresses: tuple[Annotated[str, Field(pattern=r"^https?://\S+$")], ...]
    length: Count | None = Field(alias="bytes")
    digest: Digest | None
    take: tuple[str, ...] = ("*",)
    source: str
    unverified: tuple[Literal["addresses", "bytes", "digest"], ...] = ()


Fact = Literal["classes", "group", "image_size", "images", "licence", "mode", "splits"]


class Descriptor(Section):
    """A public data set.

    Attributes:
        name: What the commands call it.
        title: Its own name.
        what: What is seen in the pictures, in a word; it stands in a narrow column.
        task: The question that a classifier answers.
        homepage: Where its makers tell about it.
        licence: An SPDX identifier, or a word or two.
        licence_note: Who says so, and what it leaves open.
        citation: What to cite.
        files: What is downloaded.
        by_hand: How a file is got that can't be downloaded.
        layout: How the files become labelled images.
        images: How many.
        image_size: Width and height in pixels; none where they vary.
        mode: ``colour`` or ``grey``.
        classes: Images of each; or the names only; or how many classes.
        splits: Images of each official part; none where there are no such parts.
        group: What images have in common that must not lie on both sides of a split.
        source: Who says all that.
        unverified: Which of it nobody has compared with the images.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title: str
    what: Annotated[str, Field(max_length=10)]
    task: str
    homepage: Annotated[str, Field(pattern=r"^https?://\S+$")]
    licence: str
    licence_note: str
    citation: str
    files: tuple[RemoteFile, ...]
    by_hand: str | None = None
    layout: Layout
    images: Count
    image_size: tuple[Count, Count] | None
    mode: Literal["colour", "grey"]
    classes: Count | tuple[str, ...] | dict[str, Count]
    splits: dict[Part, Count] | None
    group: str | None
    source: str
    unverified: tuple[Fact, ...] = ()

    @model_validator(mode="after")
    def _numbers_agree(self) -> Descriptor:
        if isinstance(self.classes, dict) and sum(self.classes.values()) != self.images:
            raise ValueError(f"the classes come to {sum(self.classes.values())}, not {self.images}")
        if self.splits and sum(self.splits.values()) != self.images:
            raise ValueError(f"the splits come to {sum(self.splits.values())}, not {self.images}")
        if any(not file.addresses for file in self.files) and not self.by_hand:
            raise ValueError("by_hand is missing, and a file has no address")
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in their own order; empty where they are not known."""
        return () if isinstance(self.classes, int) else tuple(self.classes)

    @property
    def class_count(self) -> int:
        """How many classes there are."""
        return self.classes if isinstance(self.classes, int) else len(self.classes)

    @property
    def download_length(self) -> int | None:
        """Bytes of all files together; None where one of them is not known."""
        lengths = [file.length for file in self.files]
        return None if None in lengths else sum(length or 0 for length in lengths)
