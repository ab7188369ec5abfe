from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from finetune.data.fitting import fit_image
from finetune.data.input_spec import InputSpec
from finetune.data.policies import POLICIES
from finetune.data.transforms import Augmentation, check_augment, registered_transforms
from finetune.errors import RecipeError
from finetune.recipe.schema import AugmentOptions

SPEC = InputSpec(size=32)
# albumentations' own advice, at construction, on transforms that have a newer form.
ADVICE = pytest.mark.filterwarnings(
    "ignore:.*(specialized version|special case|is an alias|very slow):UserWarning"
)


def picture(width: int = 60, height: int = 44, seed: int = 0) -> np.ndarray:
    smooth = np.random.default_rng(seed).integers(0, 256, (4, 5, 3)).repeat(12, 0).repeat(13, 1)
    return np.ascontiguousarray(smooth[:height, :width]).astype(np.uint8)


def listed(*steps) -> AugmentOptions:
    return AugmentOptions.model_validate({"transforms": list(steps)})


def policy(name: str) -> AugmentOptions:
    return AugmentOptions.model_validate({"policy": name})


def seen(augmentation: Augmentation, image: np.ndarray, *keys: int) -> np.ndarray:
    return augmentation(augmentation.prepared(image), *keys)


FLIP = {"name": "HorizontalFlip", "p": 0.5}


def test_no_policy_is_the_evaluation_view():
    view = seen(Augmentation(SPEC, policy("none"), 1, 0), picture(), 5, 3, 0)
    np.testing.assert_array_equal(view, fit_image(picture(), SPEC))


@pytest.mark.parametrize("fit", ["crop", "squash", "letterbox"])
@pytest.mark.parametrize("name", sorted(POLICIES))
@pytest.mark.parametrize("shape", [(60, 44), (1, 1), (2, 300), (32, 32)])
def test_policies_give_the_networks_input(fit, name, shape):
    augmentation = Augmentation(InputSpec(size=32, fit=fit), policy(name), 1, 0)
    image = np.resize(picture(), (shape[1], shape[0], 3))
    for epoch in range(4):
        view = seen(augmentation, image, 1, epoch, 0)
        assert view.shape == (32, 32, 3)
        assert view.dtype == np.uint8


@pytest.mark.parametrize("name", ["light", "medium", "heavy"])
def test_a_view_is_a_function_of_its_keys(name):
    first = Augmentation(SPEC, policy(name), 7, 1)
    second = pickle.loads(pickle.dumps(first))
    image = picture()
    views = {key: seen(first, image, *key) for key in [(s, e, o) for s in (0, 2**64 - 1)
                                                 for e in (0, 1) for o in (0, 1)]}  # fmt: skip
    for key in reversed(list(views)):
        seen(second, picture(seed=9), 4, 4, 4)  # whatever came before
        np.testing.assert_array_equal(seen(second, image, *key), views[key])
    assert len({view.tobytes() for view in views.values()}) == len(views)
    for seed, phase in ((8, 1), (7, 0)):
        other = seen(Augmentation(SPEC, policy(name), seed, phase), image, 0, 0, 0)
        assert not np.array_equal(other, views[0, 0, 0])


def test_two_flips_are_independent():
    both = listed(FLIP, {"name": "VerticalFlip", "p": 0.5})
    augmentation = Augmentation(InputSpec(size=16, crop_pct=1.0), both, 1, 0)
    image = np.zeros((16, 16, 3), np.uint8)
    image[0, 0] = 255
    table = np.zeros((2, 2), int)
    for sample in range(1000):
        row, column, _ = np.argwhere(seen(augmentation, image, sample, 0, 0))[0]
        table[int(row > 0), int(column > 0)] += 1
    assert (table > 200).all()
    assert chi2_contingency(table).pvalue > 0.01


def test_the_same_transform_draws_anew_at_each_position():
    augmentation = Augmentation(InputSpec(size=8, crop_pct=1.0), listed(FLIP, FLIP, FLIP), 1, 0)
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, 0] = 255
    mirrored = [seen(augmentation, image, sample, 0, 0)[0, -1, 0] > 0 for sample in range(400)]
    assert 150 < sum(mirrored) < 250


def test_random_crops_are_antialiased():
    # Lines of one pixel: taking single pixels would leave black and white.
    image = np.zeros((640, 640, 3), np.uint8)
    image[:, ::2] = 255
    names = ("light", listed({"name": "RandomResizedCrop", "p": 1, "args": {"scale": [0.9, 1]}}))
    for options in (policy(names[0]), names[1], listed({"name": "Resize", "p": 1})):
        view = seen(Augmentation(SPEC, options, 1, 0), image, 1, 0, 0)
        assert np.abs(view.astype(int) - 127).max() < 30


def test_letterbox_loses_nothing():
    spec = InputSpec(size=32, fit="letterbox", mean=(0.0, 0.0, 0.0))
    augmentation = Augmentation(spec, policy("light"), 1, 0)
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, :10], image[:, 20:] = [255, 0, 0], [0, 255, 0]
    shares = []
    for sample in range(30):
        view = seen(augmentation, image, sample, 0, 0).astype(int)
        red, green = (view[..., 0] > 128).sum(), (view[..., 1] > 128).sum()
        assert abs(red - green) <= 0.3 * red
        shares.append(red)
    assert len(set(shares)) > 3


def test_a_list_sees_the_fitted_picture_unless_it_sizes_it():
    spec = InputSpec(size=32, crop_pct=0.5)
    fitted = Augmentation(spec, listed({"name": "HorizontalFlip", "p": 1}), 1, 0)
    np.testing.assert_array_equal(
        seen(fitted, picture(), 1, 0, 0), fit_image(picture(), spec)[:, ::-1]
    )
    whole = Augmentation(spec, listed({"name": "CenterCrop", "p": 1}), 1, 0)
    np.testing.assert_array_equal(seen(whole, picture(), 1, 0, 0), picture()[6:38, 14:46])
    assert np.array_equal(
        seen(Augmentation(spec, listed(), 1, 0), picture(), 1, 0, 0), fit_image(picture(), spec)
    )


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([{"name": "Resize", "p": 1, "args": {"height": 8, "width": 9}}], "leaves uint8 8 x 9 x 3"),
        ([{"name": "RandomResizedCrop"}], "Set its p to 1, which is 0.5"),
        ([FLIP, {"name": "RandomScale", "p": 1, "args": {"scale_limit": [1, 1]}}], "RandomScale"),
        ([{"name": "RandomCrop", "p": 1, "args": {"height": 500, "width": 500}}], "Crop fails"),
    ],
)  # fmt: skip
def test_a_list_that_does_not_end_in_the_input_is_refused(steps, message):
    with pytest.raises(RecipeError, match=message):
        Augmentation(SPEC, listed(*steps), 1, 0)


def test_a_picture_that_a_transform_cannot_take_is_told():
    augmentation = Augmentation(SPEC, listed({"name": "RandomCrop", "p": 1}), 1, 0)
    with pytest.raises(RecipeError, match="RandomCrop fails on a picture of 20 x 20"):
        seen(augmentation, picture(20, 20), 1, 0, 0)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"name": "HorizontalFlop"}, "no transform HorizontalFlop; the nearest is HorizontalFlip"),
        ({"name": "Lambda"}, "no transform Lambda"),
        ({"name": "TextImage"}, "no transform TextImage"),
        ({"name": "Rotate", "args": {"limits": 5}}, "no argument limits; the nearest is limit"),
        ({"name": "Rotate", "args": {"p": 1}}, "Rotate takes no argument p"),
        ({"name": "Rotate", "args": {"limit": "wide"}}, "Rotate: limit"),
        ({"name": "Crop", "args": {"x_min": 5, "x_max": 2}}, "Crop: "),
        ({"name": "GridElasticDeform"}, "GridElasticDeform: num_grid_xy: Field required"),
    ],
)  # fmt: skip
def test_faults_of_a_list_are_told_by_name(step, message):
    (fault, *_) = check_augment(listed(FLIP, step), "augment")
    assert fault.startswith("augment.transforms[1]: ")
    assert message in fault
    with pytest.raises(RecipeError):
        Augmentation(SPEC, listed(FLIP, step), 1, 0)


def test_a_good_list_has_no_fault():
    assert check_augment(listed(FLIP, {"name": "RandomResizedCrop"}), "augment") == []
    assert check_augment(policy("heavy"), "augment") == []


def test_only_what_needs_nothing_but_an_image_is_registered():
    names = registered_transforms()
    assert len(names) > 70
    assert {"HorizontalFlip", "RandomResizedCrop", "ColorJitter", "CoarseDropout"} < set(names)
    refused = {"MixUp", "Mosaic", "FDA", "Lambda", "TextImage", "TemplateTransform", "Compose"}
    assert not refused & set(names)


NEEDED = {
    "CropAndPad": {"px": 1},
    "Crop": {"x_max": 20, "y_max": 20},
    "GridElasticDeform": {"num_grid_xy": [4, 4], "magnitude": 3},
    "LongestMaxSize": {"max_size": 32},
    "RandomSizedCrop": {"min_max_height": [10, 30]},
    "SmallestMaxSize": {"max_size": 32},
    "TimeMasking": {"time_mask_param": 9},
}


@ADVICE
@pytest.mark.parametrize("name", registered_transforms())
def test_every_registered_transform_is_a_pure_function_of_an_image(name):
    from finetune.data.transforms import _build

    (step,) = listed({"name": name, "p": 1, "args": NEEDED.get(name, {})}).transforms
    assert check_augment(listed(step.model_dump()), "augment") == []
    image = np.resize(picture(), (32, 32, 3))

    def view(transform, seed: int) -> np.ndarray:
        transform.set_random_seed(seed)
        return transform(image=image.copy())["image"]

    one, other = _build(step, 32), _build(step, 32)
    expected = [view(one, seed) for seed in (1, 2)]
    view(other, 3)
    for seed, pixels in zip((2, 1), reversed(expected), strict=True):
        np.testing.assert_array_equal(view(other, seed), pixels)
    assert all(pixels.dtype == np.uint8 and pixels.shape[2:] == (3,) for pixels in expected)


def test_importing_does_not_phone_home():
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise SystemExit('asked the network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "import finetune.data.transforms\n"
    )
    environment = {"PATH": "", "PYTHONPATH": ":".join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=environment)


@pytest.mark.parametrize("shape", [(30, 900), (600, 500)])
def test_views_are_made_of_no_more_than_they_need(shape):
    image = np.zeros((*shape, 3), np.uint8)
    light = Augmentation(SPEC, policy("light"), 1, 0)
    assert min(light.prepared(image).shape[:2]) == min(2 * SPEC.size, *shape)
    fitted = Augmentation(SPEC, listed(FLIP), 1, 0)
    assert fitted.prepared(image).shape == (32, 32, 3)
    whole = Augmentation(SPEC, listed({"name": "Resize", "p": 1}), 1, 0)
    assert whole.prepared(image) is image
    assert len({each.preparation for each in (light, fitted, whole)}) == 3


@pytest.mark.parametrize("name", [*sorted(POLICIES), "flip"])
def test_what_views_are_made_of_is_left_as_it_is(name):
    options = listed({"name": "HorizontalFlip", "p": 1}) if name == "flip" else policy(name)
    augmentation = Augmentation(SPEC, options, 1, None)
    prepared = augmentation.prepared(picture())
    before = prepared.copy()
    for view in range(8):
        augmentation(prepared, 1, view, 0)[:] = 0
    np.testing.assert_array_equal(prepared, before)


def test_views_that_phases_share_are_their_own():
    shared = Augmentation(SPEC, policy("light"), 1, None)
    of_a_phase = Augmentation(SPEC, policy("light"), 1, 0)
    assert not np.array_equal(
        seen(shared, picture(), 5, 0, 0), seen(of_a_phase, picture(), 5, 0, 0)
    )
    assert shared.identity != of_a_phase.identity
    assert shared.identity != Augmentation(SPEC, policy("medium"), 1, None).identity
    assert shared.identity == Augmentation(SPEC, policy("light"), 1, None).identity
    assert shared.chance
    assert not Augmentation(SPEC, policy("none"), 1, None).chance
