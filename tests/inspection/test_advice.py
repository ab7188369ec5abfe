from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.inspection.advice import FEW, advise


def counts(**sizes: int) -> dict[str, dict[str, int]]:
    return {
        name: {"train": size - 2 * (size // 6), "val": size // 6, "test": size // 6}
        for name, size in sizes.items()
    }


def test_nothing_is_said_of_nothing() -> None:
    assert advise({}, carved=True, share=0.15) == []


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"a": 100, "b": FEW - 1}, "1 class has under 10 images (b)"),
        ({"a": 600, "b": 100}, "a has 6 times the images of b"),
        ({"a": 120, "b": 100}, "of like size (100 to 120 images)"),
    ],
)
def test_on_classes(sizes: dict[str, int], said: str) -> None:
    assert said in advise(counts(**sizes), carved=True, share=0.15)[0]


def test_on_the_split() -> None:
    def second(size: int, *, carved: bool, share: float = 0.15) -> str:
        return advise(counts(a=size, b=size), carved=carved, share=share)[1]

    assert "enough to say something" in second(3_000, carved=True)
    assert "--set data.test=0.3" in second(60, carved=True)
    assert "--set data.test=0.4" in second(60, carved=True, share=0.3)
    assert "label more to know more" in second(60, carved=False)
    assert "No image is kept apart" in second(1, carved=True)


@pytest.mark.parametrize(
    ("size", "recipe"), [(12, "linear_probe"), (300, "lp_ft"), (15_000, "full_finetune")]
)
def test_on_the_recipe(size: int, recipe: str) -> None:
    told = advise(counts(a=size, b=size), carved=True, share=0.15)[2]
    assert told.startswith(f"Recipe {recipe}")


@given(
    st.dictionaries(st.text(min_size=1, max_size=5), st.integers(1, 10**6), min_size=1, max_size=8),
    st.booleans(),
    st.floats(0, 0.8),
)
def test_three_sentences_whatever_there_is(sizes: dict[str, int], carved: bool, share: float):
    told = advise(counts(**sizes), carved, share)
    assert len(told) == 3
    assert all(len(text.splitlines()) == 1 and text.endswith(".") for text in told)


@pytest.mark.parametrize("share", [0.2, 0.4, 0.45])
def test_a_larger_part_is_advised_only_where_it_is_larger(share: float) -> None:
    counts = {name: {"train": 20, "val": 5, "test": 15} for name in ("a", "b")}
    advice = advise(counts, carved=True, share=share)[1]
    assert ("--set data.test=" in advice) == (share < 0.4)
