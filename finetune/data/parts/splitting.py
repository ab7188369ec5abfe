"""Dividing the images into parts: seeded, stratified, in exact shares; groups stay whole.

The outcome is a function of the seed and of the paths: neither the order in which a file system
lists them nor the number of a class plays a part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from finetune.data.manifest import PARTS, Item
from finetune.data.parts.filling import Shares, fill_singles
from finetune.data.parts.grouping import deal_groups
from finetune.data.parts.pool import Indices, Keys, Pool
from finetune.data.randomness import Purpose, derived_seed

if TYPE_CHECKING:
    from collections.abc import Sequence


def split(
    items: Sequence[Item],
    shares: Shares,
    *,
    stratify: bool,
    seed: int,
    fixed: Sequence[str] | None = None,
) -> list[str]:
    """The part of each item, ``[N]``.

    Without groups the counts are exact: ``round(share * N)``, divided over the classes by largest
    remainder. Of each class at least one image stays in train; classes of fewer than `FEWEST`
    images or groups stay there whole. Groups are dealt out whole, the largest first, each to the
    part that its classes are most wanting in; then images that stand alone fill up what is wanting,
    so that the counts are exact there too, if they are enough.

    Args:
        items: What to divide, in any order.
        shares: Of all ``items``.
        stratify: Give every class the same shares; else only the totals count.
        seed: Of the recipe.
        fixed: Parts that items have already, ``[N]``; empty: to be found. They stay; an item whose
            group has a part gets that one.
    """
    if not items:
        return []
    pool = Pool.of(items, derived_seed(seed, Purpose.SPLIT), fixed or [""] * len(items))
    pool = pool.given(deal_groups(pool, (shares.val, shares.test), stratify=stratify))
    return [PARTS[code] for code in fill_singles(pool, shares, stratify=stratify).tolist()]


def assign(labels: Indices, ranks: Keys, shares: Shares, *, stratify: bool) -> Indices:
    """Codes into ``PARTS``, ``[N]``, for images that stand alone.

    Args:
        labels: Class indices, ``[N]``.
        ranks: Numbers in no order, ``[N]``; the lowest go to test, the next to val.
        shares: Of all N.
        stratify: Give every class the same shares.
    """
    return fill_singles(Pool.of_singles(labels, ranks), shares, stratify=stratify)
