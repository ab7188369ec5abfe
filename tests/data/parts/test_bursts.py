from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.data.parts.bursts import Taken, bursts, read_taken

NOON = datetime(2024, 5, 31, 12)


def at(minutes: float, camera: str = "") -> Taken:
    return Taken(NOON + timedelta(minutes=minutes), camera)


def test_each_is_near_enough_to_the_one_before():
    taken = [at(0), at(9), None, at(4.5), at(14.5), at(20), at(60)]
    paths = ["f", "b", "x", "c", "a", "e", "d"]
    assert bursts(taken, paths, 5) == {"burst: b": [0, 3, 1]}
    assert bursts(taken, paths, 5.5) == {"burst: a": [0, 3, 1, 4, 5]}
    assert bursts(taken, paths, 1) == {}


def test_two_cameras_are_two_bursts():
    taken = [at(0, "A"), at(0, "B"), at(1, "A"), at(1, "B"), at(2)]
    assert bursts(taken, list("abcde"), 5) == {"burst: a": [0, 2], "burst: b": [1, 3]}


@settings(max_examples=60, deadline=None)
@given(
    shots=st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from("AB")) | st.none(), min_size=1, max_size=20
    ),
    data=st.data(),
)
def test_bursts_hang_on_no_order(shots, data):
    taken = [shot and at(*shot) for shot in shots]
    paths = [f"{place:02}" for place in range(len(shots))]
    order = data.draw(st.permutations(range(len(shots))))
    moved = bursts([taken[p] for p in order], [paths[p] for p in order], 3)
    one = {name: {paths[p] for p in run} for name, run in bursts(taken, paths, 3).items()}
    assert one == {name: {paths[order[p]] for p in run} for name, run in moved.items()}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024:05:31 12:00:00", NOON),
        ("2024-05-31T12:00:00+02:00", NOON),
        (" 2024:05:31 12:00:00\0", NOON),
        ("0000:00:00 00:00:00", None),
        ("2024:02:30 12:00:00", None),
        ("    :  :     :  :  ", None),
        ("", None),
    ],
)
def test_times_are_read_as_cameras_write_them(text, moment):
    taken = read_taken(text, "Maker Model")
    assert taken == (moment and Taken(moment, "Maker Model"))
