from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finetune.data.batches import EvalBatches, TrainBatches, batch_count


@given(st.integers(0, 200), st.integers(1, 40), st.integers(0, 3))
def test_every_image_is_in_one_batch_and_none_is_left_alone(n, size, epoch):
    batches = TrainBatches(n, size, 1, 0, 0)
    batches.set_epoch(epoch)
    drawn = list(batches)
    assert len(drawn) == len(batches) == batch_count(n, size)
    assert sorted(key.position for batch in drawn for key in batch) == list(range(n))
    assert {key.epoch for batch in drawn for key in batch} <= {epoch}
    sizes = [len(batch) for batch in drawn]
    assert all(length <= size + 1 for length in sizes)
    assert all(length == size for length in sizes[:-1])
    if size > 1 and n > 1:
        assert min(sizes) > 1


@given(st.integers(0, 200), st.integers(1, 40), st.integers(0, 8))
def test_an_epoch_can_be_begun_within_it(n, size, first):
    whole, rest = TrainBatches(n, size, 1, 0, 3), TrainBatches(n, size, 1, 0, 3, first)
    assert list(rest) == list(whole)[first:]
    assert len(rest) == len(whole)
    rest.set_epoch(4)
    whole.set_epoch(4)
    assert list(rest) == list(whole)


@given(st.integers(0, 200), st.integers(1, 40))
def test_scoring_goes_through_all_images_in_order(n, size):
    drawn = [key.position for batch in EvalBatches(n, size) for key in batch]
    assert drawn == list(range(n))
