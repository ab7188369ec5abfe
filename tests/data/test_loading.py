from __future__ import annotations

import os
import pickle
import re

import numpy as np
import pytest
import torch

from finetune.data import loading
from finetune.data.batches import TrainBatches, epoch_order
from finetune.data.files.decoding import decode
from finetune.data.fitting import fit_image
from finetune.data.input_spec import InputSpec
from finetune.data.loading import (
    Reading,
    eval_loader,
    prediction_loader,
    train_loader,
    worker_count,
)
from finetune.data.manifest import Item, Manifest
from finetune.errors import DataError, RecipeError
from finetune.recipe.schema import AugmentOptions

SPEC = InputSpec(size=24)
LIMIT = 10**6


@pytest.fixture
def manifest(write_folder) -> Manifest:
    root = write_folder({"cat": 6, "dog": 5})
    items = [Item(f"{name}/{n}.png", name, "train") for name, count in (("cat", 6), ("dog", 5))
             for n in range(count)]  # fmt: skip
    return Manifest.of(root, items)


def loader_of(manifest, workers=0, first_epoch=0, batch_size=4, **augment):
    augment = augment or {"policy": "heavy"}
    items, options = manifest.part("train"), AugmentOptions.model_validate(augment)
    batches = TrainBatches(len(items), batch_size, 3, 1, first_epoch)
    return train_loader(manifest, items, Reading(SPEC, LIMIT, workers), options, batches)


def epoch(loader) -> tuple[list[int], bytes]:
    batches = list(loader)
    positions = torch.cat([batch.indices for batch in batches]).tolist()
    return positions, b"".join(batch.images.numpy().tobytes() for batch in batches)


def test_an_epoch_has_every_image_once_and_keeps_the_last_batch(manifest):
    loader = loader_of(manifest)
    batches = list(loader)
    assert [len(batch.labels) for batch in batches] == [4, 4, 3]
    assert len(loader) == 3
    positions = torch.cat([batch.indices for batch in batches])
    assert sorted(positions.tolist()) == list(range(11))
    labels = torch.cat([batch.labels for batch in batches])
    assert labels.tolist() == manifest.labels(manifest.items)[positions.numpy()].tolist()
    assert batches[0].images.dtype == torch.uint8
    assert batches[0].images.shape == (4, 24, 24, 3)
    assert batches[0].errors == ("",) * 4


@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes:UserWarning")
@pytest.mark.parametrize("workers", [1, 4])
def test_no_number_of_workers_changes_anything(manifest, workers):
    alone, together = loader_of(manifest), loader_of(manifest, workers)
    for _ in range(3):
        assert epoch(alone) == epoch(together)


def test_workers_that_start_anew_give_the_same(manifest):
    loader = loader_of(manifest, 1)
    loader.multiprocessing_context = "spawn"
    assert epoch(loader) == epoch(loader_of(manifest))


def test_each_pass_is_the_next_epoch_and_any_epoch_can_be_had(manifest):
    loader = loader_of(manifest)
    epochs = [epoch(loader) for _ in range(3)]
    assert len({pixels for _, pixels in epochs}) == 3
    assert epoch(loader_of(manifest, first_epoch=2)) == epochs[2]
    loader.batch_sampler.set_epoch(1)
    assert epoch(loader) == epochs[1]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_that_is_broken_off_counts(manifest, workers):
    expected = loader_of(manifest, first_epoch=1)
    loader = loader_of(manifest, workers)
    next(iter(loader))
    assert epoch(loader) == epoch(expected)


def test_an_images_view_does_not_hang_on_its_neighbours(manifest):
    def views(batch_size, items):
        batches = TrainBatches(len(items), batch_size, 3, 1, 0)
        loader = train_loader(manifest, items, Reading(SPEC, LIMIT), AugmentOptions(), batches)
        return {
            items[int(position)].path: image.numpy().tobytes()
            for batch in loader
            for position, image in zip(batch.indices, batch.images, strict=True)
        }

    few = views(2, manifest.items[3:8])
    everyone = views(5, manifest.items)
    assert {path: everyone[path] for path in few} == few


def test_the_global_random_state_is_left_alone(manifest):
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    list(loader_of(manifest))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_orders_are_permutations_that_differ():
    orders = [
        epoch_order(50, seed, phase, e) for seed in (1, 2) for phase in (0, 1) for e in (0, 1)
    ]
    assert all(sorted(order.tolist()) == list(range(50)) for order in orders)
    assert len({tuple(order.tolist()) for order in orders}) == 8
    assert epoch_order(5, 1, 0, 0).tolist() == epoch_order(5, 1, 0, 0).tolist()
    # Of many orders each place holds each image about equally often.
    firsts = np.bincount([epoch_order(5, 1, 0, e)[0] for e in range(1000)], minlength=5)
    assert (abs(firsts - 200) < 60).all()


@pytest.mark.parametrize("workers", [0, 1])
def test_scoring_sees_fitted_pictures_in_order(manifest, workers):
    files = [manifest.file(item) for item in manifest.items]
    loader = eval_loader(files, Reading(SPEC, LIMIT, workers), 4)
    for _ in range(2):
        batches = list(loader)
        images = torch.cat([batch.images for batch in batches])
        assert {int(n) for batch in batches for n in batch.labels} == {-1}
        assert torch.cat([batch.indices for batch in batches]).tolist() == list(range(11))
        for file, image in zip(files, images, strict=True):
            np.testing.assert_array_equal(image, fit_image(decode(file, LIMIT), SPEC))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_is_gone_is_named_without_a_traceback(manifest, workers):
    manifest.file(manifest.items[2]).unlink()
    files = [manifest.file(item) for item in manifest.items]
    for loader in (
        loader_of(manifest, workers),
        eval_loader(files, Reading(SPEC, LIMIT, workers), 4),
    ):
        found = (
            f"^{re.escape(str(files[2]))}: can't be read any more: no such file\nIt was readable"
        )
        with pytest.raises(DataError, match=found):
            list(loader)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_transform_that_fails_is_named_without_a_traceback(manifest, workers):
    loader = loader_of(manifest, workers, transforms=[{"name": "RandomCrop", "p": 1}])
    message = r"^augment\.transforms\[0\]: RandomCrop fails on a picture of 9 x 7: .*$"
    with pytest.raises(RecipeError, match=message):
        list(loader)


@pytest.mark.parametrize("workers", [0, 1])
def test_predicting_goes_on_past_what_cannot_be_read(manifest, tmp_path, workers):
    strange = tmp_path / os.fsdecode(b"\xff[1]\n.jpg")
    strange.write_text("no image")
    files = [manifest.file(manifest.items[0]), strange, tmp_path / "none.png",
             manifest.file(manifest.items[1])]  # fmt: skip
    errors = ["?"] * 4
    (batch,) = prediction_loader(files, Reading(SPEC, LIMIT, workers), 8, errors)
    assert errors == list(batch.errors)
    assert errors[0] == errors[3] == ""
    assert errors[1].startswith("not an image")
    assert errors[2] == "no such file"
    assert batch.images[1:3].sum() == 0
    assert batch.images[3].sum() > 0


def test_nothing_to_predict_is_no_batch():
    assert list(prediction_loader([], Reading(SPEC, LIMIT), 8, [])) == []


def test_a_million_paths_travel_light(manifest):
    dataset = loader_of(manifest).dataset
    per_path = len(str(manifest.root)) + len("/cat/0.png")
    assert len(pickle.dumps(dataset)) < 4000 + 11 * (per_path + 24)
    assert [dataset.path(n) for n in range(11)] == [manifest.file(i) for i in manifest.items]


def test_the_number_of_workers(monkeypatch):
    assert worker_count(7) == 7
    for cores, workers in ((1, 0), (2, 0), (3, 1), (6, 4), (64, 4)):
        monkeypatch.setattr(loading, "usable_cores", lambda cores=cores: cores)
        assert worker_count("auto") == workers


def test_pinning_keeps_what_is_in_a_batch(manifest):
    if not torch.cuda.is_available():
        pytest.skip("pinning wants a GPU")
    batch = next(iter(loader_of(manifest)))
    assert batch.images.is_pinned()
