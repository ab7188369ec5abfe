"""Real images that need no download: the digits that scikit-learn carries, as a folder."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from finetune.errors import DataError
from finetune.text import listed, plural

_BLOCK = 4  # each of the 8 x 8 values was counted in a block of 4 x 4 of the scanned bitmap
_INK = 16  # the most that such a block holds


def write_digits(folder: Path) -> int:
    """Write 1,797 scanned digits as grey PNG files, ``folder/0`` to ``folder/9``.

    They are 32 x 32 pixels, as the scans were; a pixel's grey is the ink of its block of 4 x 4.
    All of them appear at once, or none.

    Args:
        folder: Does not exist, is empty, or holds exactly these files already.

    Returns:
        The number of images.

    Raises:
        DataError: There is something else in ``folder``, or it can't be written.
    """
    images = _digits()
    if folder.is_dir() and any(folder.iterdir()):
        _check_same(folder, images)
        return len(images)
    try:
        _write(folder, images)
    except OSError as error:
        raise DataError(f"can't be written: {error.strerror}", where=str(folder)) from error
    return len(images)


def _digits() -> dict[str, npt.NDArray[np.uint8]]:
    """Grey images ``[32, 32]`` by path."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = np.rint(bunch.images * (255 / _INK)).astype(np.uint8)
    large = grey.repeat(_BLOCK, axis=1).repeat(_BLOCK, axis=2)
    return {
        f"{digit}/digit-{number:04d}.png": image
        for number, (digit, image) in enumerate(zip(bunch.target, large, strict=True), start=1)
    }


def _write(folder: Path, images: dict[str, npt.NDArray[np.uint8]]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        for digit in range(10):
            (temporary / str(digit)).mkdir()
        for path, image in images.items():
            Image.fromarray(image).save(temporary / path)
        temporary.chmod(0o755)
        temporary.replace(folder)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def _check_same(folder: Path, images: dict[str, npt.NDArray[np.uint8]]) -> None:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    strange = sorted(found ^ images.keys()) or sorted(
        path for path, image in images.items() if not _holds(folder / path, image)
    )
    if strange:
        raise DataError(
            f"is not empty, and {plural(len(strange), 'file')} in it or missing from it can't be "
            f"the digits': {listed(strange, 4)}",
            where=str(folder),
            mend="Name another folder, or empty this one.",
        )


def _holds(path: Path, image: npt.NDArray[np.uint8]) -> bool:
    try:
        with Image.open(path, formats=["PNG"]) as stored:
            return np.array_equal(np.asarray(stored), image)
    except OSError:
        return False
