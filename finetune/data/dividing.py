"""Which part each image belongs to: as DATA says, and carved out of train where it doesn't."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from finetune.data.grouping import FEWEST
from finetune.data.splitting import Shares, split
from finetune.text import listed, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from finetune.console import Reporter
    from finetune.data.manifest import Item
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
    return [replace(i, split="test") if i.split == "val" else i for i in items]


def divide(
    items: Sequence[Item], options: DataOptions, seed: int, reporter: Reporter
) -> list[Item]:
    """``items`` with a part each, those aside that are not ok.

    Parts that DATA brings are respected; a part that it lacks is carved out of train, as a share
    of the images that it is carved out of.
    """
    items = as_given(items, reporter)
    given = {item.split for item in items if item.status == "ok"} - {""}
    shares = Shares(
        val=0.0 if "val" in given else options.val,
        test=0.0 if "test" in given else options.test,
    )
    if given and (shares.val or shares.test):
        carved = [name for name in ("val", "test") if getattr(shares, name)]
        reporter.say(f"Carved out of DATA's train part: {listed(carved)}.")
    return _Carving(shares, options.stratify, seed, reporter).carve(items)


@dataclass(frozen=True)
class _Carving:
    shares: Shares
    stratify: bool
    seed: int
    reporter: Reporter

    def carve(self, items: Sequence[Item]) -> list[Item]:
        pool = [
            place
            for place, item in enumerate(items)
            if item.status == "ok" and item.split in ("", "train")
        ]
        chosen = [items[place] for place in pool]
        parts = split(chosen, self.shares, stratify=self.stratify, seed=self.seed)
        if self.shares.val or self.shares.test:
            self._tell(chosen, parts)
        divided = list(items)
        for place, part in zip(pool, parts, strict=True):
            divided[place] = replace(items[place], split=part)
        return divided

    def _tell(self, pool: Sequence[Item], parts: Sequence[str]) -> None:
        counts = Counter(item.label for item in pool)
        small = sorted(label for label, count in counts.items() if count < FEWEST)
        if small:
            count = plural(len(small), "class", "classes")
            self.reporter.warn(
                f"{count} of one or two images, kept in train whole and so not judged: "
                f"{listed(small)}"
            )
        if any(item.group for item in pool):
            self._tell_groups(parts)

    def _tell_groups(self, parts: Sequence[str]) -> None:
        counts = Counter(parts)
        told = ", ".join(
            f"{part} {counts[part] / len(parts):.1%} ({share:.1%} asked)"
            for part, share in (("val", self.shares.val), ("test", self.shares.test))
            if share
        )
        self.reporter.say(f"Groups are kept whole: {told}.")
