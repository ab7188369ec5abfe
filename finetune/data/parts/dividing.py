"""Which part each image belongs to: as DATA says, and carved out of train where it doesn't."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.data.parts.earlier import read_splits, splits_file
from finetune.data.parts.filling import Shares
from finetune.data.parts.gathering import Ties, gathered, sources
from finetune.data.parts.growing import check_agreement, known_parts, ties
from finetune.data.parts.splitting import split
from finetune.data.parts.telling import groups_told, held_back
from finetune.memory import without_collecting
from finetune.text import listed, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from finetune.console import Reporter
    from finetune.data.manifest import Item
    from finetune.data.parts.groups import Groups
    from finetune.recipe.schema import DataOptions


def as_given(items: Sequence[Item], reporter: Reporter) -> list[Item]:
    """``items`` with DATA's own parts; a ``val`` part without a ``test`` part is the test part."""
    given = {item.split for item in items}
    if "test" in given or "val" not in given:
        return list(items)
    reporter.say(
        "DATA has a val part but no test part: it was kept apart for judging, so it is the test "
        "part here."
    )
    return [i.of_part("test") if i.split == "val" else i for i in items]


@without_collecting()
def divide(
    items: Sequence[Item],
    options: DataOptions,
    seed: int,
    reporter: Reporter,
    *,
    root: Path = Path(),
    known: Ties | None = None,
) -> list[Item]:
    """``items`` with a part and a group each, those aside that are not ok.

    Parts that DATA brings are respected; a part that it lacks is carved out of train, as a share
    of the images that it is carved out of. Images that ``data.splits`` lists keep their parts.

    Args:
        items: Of DATA, looked at.
        options: The recipe's ``data`` section.
        seed: Of the recipe.
        reporter: Told of groups, shares, and what is kept, new or gone.
        root: What the items' paths are relative to.
        known: Near-duplicates and times, by places in ``items``.

    Raises:
        DataError: ``data.splits`` can't be followed, or ``data.group`` finds nothing.
    """
    items = as_given(items, reporter)
    found = sources(items, options.group, known or Ties(), reporter)
    parts = [""] * len(items)
    if options.splits is not None:
        parts = _kept(items, options.splits, root, reporter)
    items = _without_ties(items, parts, found, reporter)
    given = {item.split for item in items if item.status == "ok"} - {""}
    shares = Shares(
        val=0.0 if "val" in given else options.val,
        test=0.0 if "test" in given else options.test,
    )
    if given and (shares.val or shares.test):
        carved = [name for name in ("val", "test") if getattr(shares, name)]
        reporter.say(f"Carved out of DATA's train part: {listed(carved)}.")
    return _Carving(shares, options.stratify, seed, reporter).carve(items, parts)


def _kept(items: Sequence[Item], named: str, root: Path, reporter: Reporter) -> list[str]:
    """The parts that an earlier division gives ``items``, ``[N]``."""
    file = splits_file(named)
    kept = known_parts(items, read_splits(file), root)
    given = {item.split for item in items if item.status == "ok"}
    check_agreement(items, kept.parts, given, file)
    kept.tell(items, reporter)
    return kept.parts


def _without_ties(
    items: Sequence[Item], parts: Sequence[str], found: Sequence[Groups] | None, reporter: Reporter
) -> list[Item]:
    """``items`` with their groups, and those set aside that would tie earlier parts together."""
    grouped = gathered(items, found)
    tied = ties(grouped, parts)
    if not tied:
        return grouped
    told = [f"{items[place].path} ({reason})" for place, reason in tied.items()]
    count = plural(len(tied), "new image")
    reporter.warn(f"{count} set aside, as no part can take what belongs to two: {listed(told)}")
    left = list(items)
    for place, reason in tied.items():
        left[place] = replace(items[place], status="dropped", reason=reason)
    return gathered(left, found)


@dataclass(frozen=True)
class _Carving:
    shares: Shares
    stratify: bool
    seed: int
    reporter: Reporter

    def carve(self, items: Sequence[Item], kept: Sequence[str]) -> list[Item]:
        pool = [
            place
            for place, item in enumerate(items)
            if item.status == "ok" and item.split in ("", "train")
        ]
        chosen = [items[place] for place in pool]
        fixed = [kept[place] for place in pool]
        parts = split(chosen, self.shares, stratify=self.stratify, seed=self.seed, fixed=fixed)
        if self.shares.val or self.shares.test:
            self._tell(chosen, parts)
        divided = list(items)
        for place, part in zip(pool, parts, strict=True):
            divided[place] = items[place].of_part(part)
        return divided

    def _tell(self, pool: Sequence[Item], parts: Sequence[str]) -> None:
        for warning in held_back(pool):
            self.reporter.warn(warning)
        for line in groups_told(pool, parts, self.shares, stratify=self.stratify):
            self.reporter.say(line)
