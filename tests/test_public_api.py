from __future__ import annotations

import pytest

import finetune


def test_the_public_names_are_sorted_and_there() -> None:
    assert finetune.__all__ == sorted(finetune.__all__)
    for name in finetune.__all__:
        assert getattr(finetune, name) is not None
    assert dir(finetune) == finetune.__all__


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        finetune.trian  # noqa: B018
