"""What there is in DATA: listed, looked at file by file, mended as asked, copies found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from finetune.console import Reporter
from finetune.data.copies.duplicates import Pair, clusters, duplicate_pairs
from finetune.data.files.hygiene import check_files
from finetune.data.files.looking import Look
from finetune.data.fixes import apply_fixes, read_fixes
from finetune.data.manifest import Item
from finetune.data.parts.bursts import read_taken
from finetune.data.parts.dividing import divide
from finetune.data.parts.earlier import read_splits, splits_file
from finetune.data.parts.gathering import Ties
from finetune.data.sources.indexing import Listing
from finetune.recipe.schema import DataOptions
from finetune.text import listed, plural


@dataclass(frozen=True)
class Survey:
    """DATA before it is divided into parts.

    Attributes:
        listing: Its items have been looked at; fixes are applied.
        looks: Of the items that can be read, by path.
        pairs: Items that show the same picture, by their places.
        ties: Places of items that a person wants in one group.
    """

    listing: Listing
    looks: Mapping[str, Look]
    pairs: tuple[Pair, ...]
    ties: tuple[tuple[int, int], ...] = ()

    @property
    def items(self) -> tuple[Item, ...]:
        """The listing's."""
        return self.listing.items

    @cached_property
    def copies(self) -> list[list[int]]:
        """Places of items that show the same picture: those of each picture together."""
        return clusters(self.pairs, len(self.items))


def survey(listing: Listing, options: DataOptions, reporter: Reporter) -> Survey:
    """Open every file of ``listing`` once; nothing is written.

    Raises:
        DataError: ``options.fixes`` or ``options.splits`` can't be followed.
    """
    if options.splits is not None:
        read_splits(splits_file(options.splits))  # a fault in it is told before the work
    items, ties = _mended(listing.items, options.fixes, reporter)
    looked = check_files(listing.root, items, options.max_pixels, reporter)
    pairs = find_copies(looked.items, looked.looks, reporter)
    return Survey(replace(listing, items=looked.items), looked.looks, tuple(pairs), ties)


def divide_survey(
    surveyed: Survey, options: DataOptions, seed: int, reporter: Reporter
) -> list[Item]:
    """The items with a part and a group each; what shows one picture is never parted here.

    Raises:
        DataError: As `divide`.
    """
    taken = [
        read_taken(look.taken, look.camera) if (look := surveyed.looks.get(item.path)) else None
        for item in surveyed.items
    ]
    known = Ties([*surveyed.copies, *surveyed.ties], taken)
    root = surveyed.listing.root
    return divide(surveyed.items, options, seed, reporter, root=root, known=known)


def find_copies(items: Sequence[Item], looks: Mapping[str, Look], reporter: Reporter) -> list[Pair]:
    """Pairs among the items that are ok, by their bytes and by what they look like."""
    digests = [item.digest if item.status == "ok" else "" for item in items]
    prints = [looks[i.path].fingerprint if i.status == "ok" else b"" for i in items]
    return duplicate_pairs(digests, prints, reporter)


def _mended(
    items: tuple[Item, ...], fixes: str | None, reporter: Reporter
) -> tuple[tuple[Item, ...], tuple[tuple[int, int], ...]]:
    if fixes is None:
        return items, ()
    source = Path(fixes)
    fixed = apply_fixes(items, read_fixes(source), source)
    changed = sum(was != now for was, now in zip(items, fixed.items, strict=True))
    reporter.say(
        f"{plural(changed, 'image')} dropped or relabelled and {len(fixed.ties):,} grouped, as "
        f"{listed([str(source)])} asks for."
    )
    if fixed.unknown:
        count = plural(len(fixed.unknown), "image")
        reporter.warn(f"{count} of {listed([str(source)])} not in DATA: {listed(fixed.unknown)}")
    return fixed.items, fixed.ties
