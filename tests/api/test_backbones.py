from __future__ import annotations

import pytest

import finetune


def test_backbones_are_a_frame_with_a_row_each() -> None:
    frame = finetune.backbones("test_res*", limit=3)
    assert len(frame) >= 1
    assert (frame["parameters"] > 0).all()
    assert (frame["unfit"] == "").all()
    assert "r160_in1k" in frame.set_index("name").loc["test_resnet.r160_in1k", "weights"]


def test_figures_are_whole_numbers_also_beside_missing_ones() -> None:
    frame = finetune.backbones("dla34")
    assert frame["parameters"].isna().all()
    assert "isn't linear" in frame["unfit"].item()
    assert str(frame["stages"].dtype) == "Int64"


def test_stages_add_up_from_the_head_to_the_input() -> None:
    frame = finetune.stages("test_vit", num_classes=4)
    assert frame["train"].iloc[-1] == "head"
    for what in ("parameters", "multiply_adds"):
        assert frame[f"trained_{what}"].iloc[0] == frame[what].sum()
        assert frame[f"trained_{what}"].iloc[-1] == frame[what].iloc[-1]
        assert frame[f"trained_{what}"].is_monotonic_decreasing


def test_a_name_that_is_none_is_told() -> None:
    with pytest.raises(finetune.FinetuneError, match="resnet50"):
        finetune.stages("resnet5O")
