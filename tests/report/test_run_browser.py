"""The report of a run in a browser: what is pressed is shown, by anybody, and nothing else runs.

Wants Chromium, ``uv pip install 'finetune-vision[browser]'``, and for the audit axe-core: the file
that FINETUNE_AXE names (``axe.min.js``), or npm, which fetches it.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import finetune
from finetune.console import Silent
from finetune.evaluation.table import read_predictions
from finetune.text import printable

pytestmark = pytest.mark.slow

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-background-networking"]
IMAGE = "<img src=x onerror=window.hit=1>"
SCRIPT = "</script><script>window.hit=1</script>"
TURNED = "\u202egpj.\"'\u2066"
TINY = ["data.workers=0", "model.backbone=test_resnet", "input.size=48", "evaluate.bootstrap=100"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    api = pytest.importorskip("playwright.sync_api", reason="there is no Playwright")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("there is no Chromium")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def clothing(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> finetune.Run:
    """A linear probe on real pictures."""
    (weights,) = (shared / "weights").glob("*.safetensors")
    return finetune.train(
        shared / "datasets" / "clothing", "linear_probe", weights=weights,
        out=tmp_path_factory.mktemp("clothing") / "run", reporter=Silent(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def hostile(
    write_photos: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> finetune.Run:
    """A run whose classes and files are named to do harm."""
    folder = tmp_path_factory.mktemp("hostile")
    photos = write_photos(folder / "photos", {"red": 24, "green": 24, "blue": 24})
    rows = []
    for hue, label in zip(("red", "green", "blue"), (IMAGE, SCRIPT, TURNED), strict=True):
        for number, file in enumerate(sorted((photos / hue).iterdir())):
            name = f'{hue}/"><svg onload=window.hit=1>{TURNED}{number}.png'
            file.rename(photos / name)
            rows.append((name, label))
    with (photos / "list.csv").open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows([("path", "label"), *rows])
    return finetune.train(
        photos / "list.csv", "linear_probe", overrides=TINY, weights="none", out=folder / "run",
        reporter=Silent(),
    )  # fmt: skip


@dataclass
class Opened:
    """A report in the browser, with what it did there."""

    page: Any
    address: str
    faults: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def shown(self) -> list[str]:
        """The paths below the matrix that can be seen, sorted."""
        paths = self.page.locator("#cells .path").filter(visible=True)
        return sorted(paths.all_text_contents())

    @property
    def cells(self) -> dict[str, tuple[int, int]]:
        """Row and column of each button of the matrix, by its list."""
        found: dict[str, tuple[int, int]] = self.page.evaluate(
            "Object.fromEntries([...document.querySelectorAll('button.cell')].map(b => [b.dataset"
            ".cell, [b.closest('tr').rowIndex - 1, b.closest('td').cellIndex - 1]]))"
        )
        return found


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Opens the report of a run from the disk."""
    contexts = []

    def show(run: finetune.Run, width: int = 1280, scheme: str = "light") -> Opened:
        size = {"width": width, "height": 800}
        contexts.append(browser.new_context(viewport=size, color_scheme=scheme))
        page = contexts[-1].new_page()
        told = Opened(page, run.directory.report.as_uri())
        page.on("console", lambda message: told.faults.append(message.text))
        page.on("pageerror", lambda error: told.faults.append(str(error)))
        page.on("request", lambda request: told.asked.append(request.url))
        page.goto(told.address)
        return told

    yield show
    for context in contexts:
        context.close()


def said(run: finetune.Run) -> dict[tuple[int, int], list[str]]:
    """The paths of each cell of the matrix, as they are shown, by ``predictions.csv``."""
    table = read_predictions(run.directory.predictions)
    found: dict[tuple[int, int], list[str]] = {}
    for row in table.predictions:
        if row.split == "test" and row.probabilities is not None:
            cell = table.classes.index(row.label), int(row.probabilities.argmax())
            found.setdefault(cell, []).append(printable(row.path))
    return {cell: sorted(paths) for cell, paths in found.items()}


def check_cells(report: Opened, run: finetune.Run) -> None:
    """Every cell shows its images when it is pressed, and these alone."""
    wanted, cells = said(run), report.cells
    assert sorted(map(tuple, cells.values())) == sorted(wanted)
    for identity, place in cells.items():
        report.page.locator(f"button[data-cell={identity}]").click()
        assert report.shown == wanted[tuple(place)]


def nothing_happened(report: Opened) -> bool:
    """Whether it asked for nothing but itself, and no fault was told."""
    others = [each for each in report.asked if not each.startswith("data:image/webp;")]
    return others == [report.address] and not report.faults


@pytest.mark.real
def test_a_press_on_a_cell_shows_its_images(
    clothing: finetune.Run, opened: Callable[..., Opened]
) -> None:
    report = opened(clothing)
    check_cells(report, clothing)
    assert nothing_happened(report)


@pytest.mark.real
def test_the_keyboard_alone_will_do(clothing: finetune.Run, opened: Callable[..., Opened]) -> None:
    report = opened(clothing)
    keyboard, focused = report.page.keyboard, "document.activeElement.dataset.cell || ''"
    while not (identity := report.page.evaluate(focused)):
        keyboard.press("Tab")
        assert not report.page.evaluate("document.activeElement === document.body")
    keyboard.press("Enter")
    assert report.shown == said(clothing)[tuple(report.cells[identity])]
    assert report.page.locator("#told").text_content().startswith("Shown: ")
    while report.page.evaluate("document.activeElement.id") != "all-cells":
        keyboard.press("Tab")
    keyboard.press("Space")
    assert report.page.evaluate(focused) == identity
    assert report.shown == []
    assert report.page.locator("#cells > details").filter(visible=True).count() == len(report.cells)


@pytest.mark.real
def test_the_first_screen_has_question_answer_and_three_worries(
    clothing: finetune.Run, opened: Callable[..., Opened]
) -> None:
    for width in (1280, 400):
        page = opened(clothing, width).page
        for found in (".question", ".answer", ".worries > ol > li:nth-child(3)"):
            box = page.locator(found).bounding_box()
            assert box["y"] + box["height"] <= 800, (width, found)


@pytest.mark.real
def test_nothing_is_wider_than_a_narrow_window(
    clothing: finetune.Run, opened: Callable[..., Opened]
) -> None:
    page = opened(clothing, 400).page
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core."""
    if "FINETUNE_AXE" in os.environ:
        return Path(os.environ["FINETUNE_AXE"]).read_text(encoding="utf-8")
    folder = tmp_path_factory.mktemp("axe")
    try:
        command = ["npm", "pack", "axe-core", "--silent"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"axe-core can't be had: {error}")
    (packed,) = folder.glob("*.tgz")
    with tarfile.open(packed) as archive:
        file = archive.extractfile("package/axe.min.js")
        assert file is not None
        return file.read().decode()


@pytest.mark.real
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_audit_of_accessibility_finds_nothing_serious(
    clothing: finetune.Run, opened: Callable[..., Opened], axe: str, scheme: str
) -> None:
    page = opened(clothing, scheme=scheme).page
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    page.evaluate(axe)
    found = page.evaluate("axe.run().then(told => told.violations)")
    grave = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in GRAVE]
    assert not grave


GRAVE = ("serious", "critical")


def test_names_that_would_do_harm_are_text(
    hostile: finetune.Run, opened: Callable[..., Opened]
) -> None:
    report = opened(hostile)
    check_cells(report, hostile)
    assert report.page.evaluate("window.hit") is None
    rows = report.page.locator(".matrix tbody th").all_text_contents()
    assert rows == [printable(name) for name in sorted((IMAGE, SCRIPT, TURNED))]
    assert nothing_happened(report)
