"""What a trained network's last layer sees of files: one vector each, for search and clustering."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from finetune.console import Reporter, automatic
from finetune.deploy.bundle import Classifier
from finetune.deploy.inputs import Name, find_images
from finetune.deploy.prediction import look
from finetune.files import replacing
from finetune.model.device import pick_device
from finetune.text import plural, to_cell

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 8192  # a group of rows in the file; what is made of Arrow's at a time


@dataclass(frozen=True, eq=False)
class Embeddings:
    """A vector for each file.

    Attributes:
        paths: As they were given, ``N`` of them.
        errors: Why each can't be read, or ``""``.
        features: float32 ``[N, D]``: what the classifier takes, pooled over the picture; ``nan`` in
            the rows of files that can't be read.
    """

    paths: tuple[str, ...]
    errors: tuple[str, ...]
    features: npt.NDArray[np.float32]

    def readable(self) -> Embeddings:
        """Those of the files that can be read."""
        kept = [number for number, error in enumerate(self.errors) if not error]
        paths = tuple(self.paths[number] for number in kept)
        return Embeddings(paths, ("",) * len(kept), self.features[kept])

    def to_frame(self) -> pd.DataFrame:
        """``path``, ``error`` and the features in columns ``0`` to ``D - 1``, a row a file."""
        import pandas as pd

        names = pd.DataFrame({"path": self.paths, "error": self.errors}, dtype=object)
        return pd.concat([names, pd.DataFrame(self.features)], axis=1)

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        failed = sum(map(bool, self.errors))
        told = f", {failed:,} can't be read" if failed else ""
        width = plural(self.features.shape[1], "number")
        return f"Embeddings({plural(len(self), 'file')}{told}; {width} each)"


def embed_files(
    classifier: Classifier, inputs: Name | Sequence[Name], reporter: Reporter | None
) -> Embeddings:
    """The features of each image that ``inputs`` name.

    Raises:
        DataError: An input names no image.
    """
    files = find_images(inputs)
    paths = [Path(file) for file in files]
    seen = look(classifier, paths, reporter or automatic(), pick_device(), title="embed")
    features = seen.features.astype(np.float32, copy=True)
    features[[bool(error) for error in seen.errors]] = np.nan
    return Embeddings(tuple(files), tuple(seen.errors), features)


def write_embeddings(path: Path, embeddings: Embeddings) -> None:
    """Write ``path``, ``error`` and ``features`` as Parquet, a row a file.

    Paths and errors are written as in ``predictions.csv``, so that the two can be joined;
    ``features`` is a list of float32, null where the file can't be read.
    """
    import pyarrow
    from pyarrow import parquet

    vector = pyarrow.list_(pyarrow.float32())
    schema = pyarrow.schema({"path": "string", "error": "string", "features": vector}.items())
    with (
        replacing(path) as temporary,
        parquet.ParquetWriter(temporary, schema) as writer,
    ):
        for columns in _columns(embeddings):
            writer.write_table(pyarrow.table(columns, schema=schema))


def _columns(embeddings: Embeddings) -> Iterator[dict[str, Any]]:
    """What a group of rows holds."""
    for start in range(0, len(embeddings), _ROWS):
        part = slice(start, start + _ROWS)
        errors = embeddings.errors[part]
        rows = zip(embeddings.features[part], errors, strict=True)
        yield {
            "path": [to_cell(path) for path in embeddings.paths[part]],
            "error": [to_cell(error) for error in errors],
            "features": [None if error else row for row, error in rows],
        }
