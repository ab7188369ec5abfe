"""The notebooks hold: each runs in a kernel of its own, and shows the figures that it promises."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

nbformat = pytest.importorskip("nbformat", reason="notebooks run with the extra dev")
nbclient = pytest.importorskip("nbclient", reason="notebooks run with the extra dev")
if find_spec("ipykernel") is None:  # not imported: that would be a notebook's sign here
    pytest.skip("notebooks run with the extra dev", allow_module_level=True)

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))

_PICTURES = dict.fromkeys(("red", "this", "that"), 24)
"""Two of the classes are of one hue: without mistakes there are none to show."""
_QUICK = ["data.workers=0", "input.size=32", "evaluate.bootstrap=100"]
_PARAMETERS: dict[str, dict[str, Any]] = {
    "first-classifier": {"weights": "weights.safetensors", "overrides": _QUICK},
    "schedules-and-heads": {"weights": "weights.safetensors", "overrides": _QUICK, "epochs": 1},
}
_HTML, _PNG = "text/html", "image/png"
_SHOWN = {
    "first-classifier": {
        "counts": _HTML,
        "pictures": _PNG,
        "run": _HTML,
        "matrix": _HTML,
        "curves": _HTML,
        "worst": _HTML,
        "predict": _HTML,
        "heat": _PNG,
    },
    "schedules-and-heads": {
        "table-freeze": _HTML,
        "table-scores": _HTML,
        "figure": _PNG,
        "compare-heads": _HTML,
        "compare-schedules": _HTML,
    },
}


@pytest.fixture
def place(
    tmp_path: Path, write_photos: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """What the notebooks suppose, as a working directory; kernels get one thread and no hub."""
    write_photos(tmp_path / "photos", _PICTURES, noise=120)
    (tmp_path / "new_pictures").mkdir()
    for name in _PICTURES:
        shutil.copy(tmp_path / "photos" / name / "000.png", tmp_path / f"new_pictures/{name}.png")
    _write_weights(tmp_path / "weights.safetensors")
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    # tqdm, which other packages import, misses ipywidgets; nothing here draws its bars.
    monkeypatch.setenv("PYTHONWARNINGS", "ignore:IProgress not found")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def _write_weights(path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model("test_resnet", pretrained=False)
    said = {"architecture": "test_resnet", "input_size": "3,48,48"}
    save_file(network.state_dict(), path, metadata=said)


def executed(notebook: Path, place: Path) -> dict[str, Any]:
    """The cells of ``notebook`` by id, run in ``place`` with the parameters of the tests."""
    book = nbformat.read(notebook, as_version=4)
    (at,) = (n for n, c in enumerate(book.cells) if "parameters" in c.metadata.get("tags", []))
    given = _PARAMETERS[notebook.stem].items()
    assignments = "\n".join(f"{name} = {value!r}" for name, value in given)
    book.cells.insert(at + 1, nbformat.v4.new_code_cell(assignments))
    resources = {"metadata": {"path": str(place)}}
    nbclient.NotebookClient(book, timeout=600, kernel_name="python3", resources=resources).execute()
    return {cell.id: cell for cell in book.cells if cell.cell_type == "code"}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_promises(notebook: Path, place: Path) -> None:
    cells = executed(notebook, place)
    assert [cell.execution_count for cell in cells.values()] == [*range(1, len(cells) + 1)]
    assert not [each["text"] for each in _outputs(cells) if each.get("name") == "stderr"]
    for identity, form in _SHOWN[notebook.stem].items():
        found = [each.get("data", {}) for each in cells[identity].outputs]
        *_, shown = (data[form] for data in found if form in data)  # progress is told before it
        assert _is_drawn(shown) if form == _PNG else re.search("<(table|svg|img) ?", shown), (
            identity
        )


def _outputs(cells: dict[str, Any]) -> list[Any]:
    return [each for cell in cells.values() for each in cell.outputs]


def _is_drawn(png: str) -> bool:
    """Whether a picture is more than an empty page."""
    with Image.open(io.BytesIO(base64.b64decode(png)), formats=["PNG"]) as image:
        return len(image.convert("L").getcolors() or []) > 10


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_as_it_was_written(notebook: Path) -> None:
    book = nbformat.read(notebook, as_version=nbformat.NO_CONVERT)
    nbformat.validate(book)
    assert (book.nbformat, book.nbformat_minor) == (4, 5)
    assert set(book.metadata) == {"kernelspec", "language_info"}
    assert dict(book.metadata.language_info) == {"name": "python"}
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)
    assert [dict(cell.metadata) for cell in cells] == [{"tags": ["parameters"]}] + [{}] * (
        len(cells) - 1
    )
    assert all(re.fullmatch(r"[a-z-]+", cell.id) for cell in book.cells)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_links_of_a_notebook_lead_somewhere(notebook: Path) -> None:
    cells = nbformat.read(notebook, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert targets
    assert [name for name in targets if not (notebook.parent / name).is_file()] == []


def test_every_notebook_has_parameters_and_figures_here() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(_PARAMETERS) == set(_SHOWN)
