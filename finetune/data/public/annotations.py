"""Layouts whose labels lie in matrices: MATLAB's .mat and HDF5."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from finetune.data.public.layouts import Patches
from finetune.data.public.placing import Placement, inside, present
from finetune.errors import DataError
from finetune.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from finetune.data.public.descriptors import Descriptor
    from finetune.data.public.layouts import Cars, Flowers

_FLOWER_PARTS = {"train": "trnid", "val": "valid", "test": "tstid"}
_AT_A_TIME = 1024


def flowers(layout: Flowers, root: Path, names: tuple[str, ...]) -> Iterator[Placement]:
    """By a matrix of labels, and one of the numbers of each part's images, both from 1 on."""
    labels = _vector(root, layout.labels, "labels")
    for part, key in _FLOWER_PARTS.items():
        for number in _vector(root, layout.splits, key):
            name = f"image_{number:05d}.jpg"
            label = _one(names, labels, int(number), layout.labels)
            yield Placement(root / layout.images / name, part, label, PurePosixPath(name))


def cars(layout: Cars, root: Path) -> Iterator[Placement]:
    """By a matrix of class names, and one of the files and classes of each part."""
    names = [str(name) for name in np.atleast_1d(_matrix(root, layout.names, "class_names"))]
    for part, place in layout.parts.items():
        for row in np.atleast_1d(_matrix(root, place, "annotations")):
            if row.dtype.names is None or not {"fname", "class"} <= set(row.dtype.names):
                raise DataError("has no fname and class", where=place)
            name = str(row["fname"])
            label = _one(names, [int(row["class"])], 1, place)
            source = inside(root, f"{layout.images[part]}/{name}")
            yield Placement(source, part, label, PurePosixPath(source.name))


def patches(layout: Patches, root: Path, names: tuple[str, ...]) -> Iterator[Placement]:
    """Each picture of the arrays, written as PNG."""
    h5py = _h5py()
    for part, place in layout.images.items():
        with (
            _opened(h5py, present(root, place)) as pictures,
            _opened(h5py, present(root, layout.labels[part])) as answers,
        ):
            x, y = _array(pictures, "x", place), _array(answers, "y", layout.labels[part])
            _check_patches(x, y, place)
            for number, (pixels, answer) in enumerate(_rows(x, y)):
                name = f"{part}-{number:06d}.png"
                Image.fromarray(pixels).save(root / name)
                label = _one(names, [answer + 1], 1, layout.labels[part])
                yield Placement(root / name, part, label, PurePosixPath(name))


def check_can_be_read(descriptor: Descriptor) -> None:
    """See to it, before anything is downloaded, that what reads the files is installed.

    Raises:
        DataError: It isn't.
    """
    if isinstance(descriptor.layout, Patches):
        _h5py()


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise DataError(
            "its arrays are in HDF5, and h5py, which reads them, is not installed",
            mend="Install it: pip install 'finetune-vision[h5]'",
        ) from None
    return h5py


def _opened(h5py: Any, path: Path) -> Any:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DataError(
            f"can't be read as HDF5: {printable(str(error)[:120])}", where=path.name
        ) from error


def _vector(root: Path, place: str, key: str) -> list[int]:
    return [int(value) for value in np.atleast_1d(_matrix(root, place, key))]


def _matrix(root: Path, place: str, key: str) -> Any:
    from scipy.io import loadmat

    try:
        return loadmat(present(root, place), squeeze_me=True)[key]
    except DataError:
        raise
    except KeyError:
        raise DataError(f"has no matrix {key}", where=place) from None
    except Exception as error:  # it fails on damaged bytes in every way there is
        raise DataError(
            f"can't be read as MATLAB's: {printable(str(error)[:120])}", where=place
        ) from error


def _one(names: Any, labels: Any, number: int, place: str) -> str:
    """The name of the class of the image that has the number, from 1 on."""
    if not 1 <= number <= len(labels) or not 1 <= labels[number - 1] <= len(names):
        raise DataError(f"has no class for image {number}", where=place)
    return str(names[labels[number - 1] - 1])


def _array(file: Any, key: str, place: str) -> Any:
    """The array itself: HDF5 can also point to other files, and those are not read."""
    h5py = _h5py()
    link = file.get(key, getlink=True) if key in file else None
    array = file[key] if isinstance(link, h5py.HardLink) else None
    if not isinstance(array, h5py.Dataset) or array.external or array.is_virtual:
        raise DataError(f"has no array {key} of its own", where=place)
    return array


def _check_patches(x: Any, y: Any, place: str) -> None:
    if x.ndim != 4 or x.shape[3] != 3 or x.dtype != np.uint8 or y.size != len(x):
        raise DataError(
            f"holds {x.dtype} {list(x.shape)} for {y.size:,} labels, and not bytes [N, H, W, 3]",
            where=place,
        )


def _rows(x: Any, y: Any) -> Iterator[tuple[Any, int]]:
    for start in range(0, len(x), _AT_A_TIME):
        answers = np.asarray(y[start : start + _AT_A_TIME]).reshape(-1)
        yield from zip(x[start : start + _AT_A_TIME], answers.tolist(), strict=True)
