import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.evaluation.intervals import UNDEFINED, Score, wilson


def test_golden_values() -> None:
    hundred = wilson(90, 100, 0.95)
    assert (round(hundred.low, 3), round(hundred.high, 3)) == (0.826, 0.945)
    bees = wilson(146, 153, 0.95)
    assert (round(bees.low, 3), round(bees.high, 3)) == (0.909, 0.978)


def test_a_share_of_nothing_is_undefined() -> None:
    assert wilson(0, 0, 0.95) == UNDEFINED
    assert UNDEFINED.to_dict() == {"value": None, "low": None, "high": None}


def test_all_right_and_all_wrong_still_have_a_width() -> None:
    right, wrong = wilson(20, 20, 0.95), wilson(0, 20, 0.95)
    assert (right.value, right.high) == (1.0, 1.0)
    assert right.low == pytest.approx(0.839, abs=5e-4)
    assert (wrong.low, wrong.high) == (0.0, pytest.approx(1 - right.low))


def test_more_confidence_is_a_wider_interval() -> None:
    narrow, wide = wilson(30, 40, 0.8), wilson(30, 40, 0.99)
    assert wide.low < narrow.low < 0.75 < narrow.high < wide.high


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 5000), st.floats(0, 1), st.floats(0.5, 0.999))
def test_the_interval_holds_the_share(n: int, share: float, confidence: float) -> None:
    score = wilson(round(share * n), n, confidence)
    assert 0 <= score.low <= score.value <= score.high <= 1


def test_to_dict_has_the_contract_keys() -> None:
    assert Score(0.5, 0.4, 0.6).to_dict() == {"value": 0.5, "low": 0.4, "high": 0.6}
