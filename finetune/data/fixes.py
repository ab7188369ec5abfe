"""What a person decided about single images: ``fixes.csv``, applied without touching a file.

A row has a path, the problem and what to do: ``drop``, ``relabel to CLASS``, ``group with PATH``,
or nothing. ``finetune check`` writes such a file; people edit it.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from finetune.errors import DataError
from finetune.files import replacing
from finetune.recipe.faults import nearest
from finetune.text import from_cell, listed, plural, printable, to_cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from finetune.data.manifest import Item

DROP, RELABEL, GROUP = "drop", "relabel to", "group with"
"""What a suggestion begins with; the last two go on with a class or a path."""

_COLUMNS = ("path", "problem", "suggestion")
_NEEDED = ("path", "suggestion")
_WRITTEN_BY = "finetune check DATA --out DIR writes such a file."
_MEND = f"A suggestion is {DROP}, {RELABEL} CLASS, {GROUP} PATH, or nothing."


@dataclass(frozen=True, slots=True)
class Fix:
    """A row of ``fixes.csv``.

    Attributes:
        path: Of the image, as in DATA.
        problem: What is wrong with it, for eyes.
        action: `DROP`, `RELABEL`, `GROUP`, or empty: nothing is done.
        to: The class, or the path of the other image.
        line: Where it stands in the file; 0: in none.
    """

    path: str
    problem: str
    action: str = ""
    to: str = ""
    line: int = 0

    @property
    def suggestion(self) -> str:
        """The action with its class or path."""
        return f"{self.action} {self.to}" if self.to else self.action


@dataclass(frozen=True)
class Fixed:
    """Items after the fixes.

    Attributes:
        items: In the same order; dropped ones have the status ``dropped``.
        ties: Places of items that belong into one group.
        unknown: Paths that no item has.
    """

    items: tuple[Item, ...]
    ties: tuple[tuple[int, int], ...]
    unknown: tuple[str, ...]


def write_fixes(path: Path, fixes: Sequence[Fix]) -> None:
    """Write a row a fix, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for fix in fixes:
            writer.writerow(to_cell(cell) for cell in (fix.path, fix.problem, fix.suggestion))


def read_fixes(path: Path) -> list[Fix]:
    """The rows of a file that `write_fixes` wrote and a person may have edited.

    Raises:
        DataError: It can't be read, lacks a column, or says what can't be done; all rows are told.
    """
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), restval="")
    try:
        _check_header(reader.fieldnames or (), path)
        fixes = [_fix(row, reader.line_num) for row in reader]
    except csv.Error as error:
        raise _unreadable(path, error) from error
    _raise_if(path, [*_unknown_actions(fixes), *_contradictions(fixes)])
    return fixes


def apply_fixes(items: Sequence[Item], fixes: Sequence[Fix], source: Path) -> Fixed:
    """``items`` as the fixes, read from ``source``, want them. Nothing on the disk changes.

    Raises:
        DataError: A class or the other image of a group doesn't exist, or no row is of an image.
    """
    places = {item.path: place for place, item in enumerate(items)}
    _raise_if(source, list(_dangling(fixes, places, {item.label for item in items})))
    known = [fix for fix in fixes if fix.path in places]
    if fixes and items and not known:
        raise _of_no_image(items[0].path, fixes, source)
    changed = list(items)
    for fix in known:
        changed[places[fix.path]] = _changed(changed[places[fix.path]], fix)
    ties = tuple((places[f.path], places[f.to]) for f in known if f.action == GROUP)
    unknown = tuple(fix.path for fix in fixes if fix.path not in places)
    return Fixed(tuple(changed), ties, unknown)


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as file:
            text = file.read()
    except OSError as error:
        raise _unreadable(path, error.strerror) from error
    if "\0" in text:  # UTF-16, most often: a spreadsheet's "Unicode text"
        raise DataError("is no UTF-8 text", where=printable(str(path)), mend="Save it as UTF-8.")
    return text


def _unreadable(path: Path, reason: object) -> DataError:
    return DataError(f"can't be read: {reason}", where=printable(str(path)), mend=_WRITTEN_BY)


def _check_header(header: Sequence[str], path: Path) -> None:
    missing = [name for name in _NEEDED if name not in header]
    if not missing:
        return
    mend = "A list of fixes has the columns path, suggestion and, if you like, problem."
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        mend += " They are divided by commas, not by semicolons or tabs."
    found = f"{plural(len(missing), 'column')} missing: {listed(missing)}"
    raise DataError(found, where=printable(str(path)), mend=mend)


def _of_no_image(path: str, fixes: Sequence[Fix], source: Path) -> DataError:
    given, where = printable(fixes[0].path), printable(str(source))
    mend = f"Paths are those below DATA, such as {printable(path)}; a row has {given}."
    return DataError("no row is of an image of DATA", where=where, mend=mend)


def _changed(item: Item, fix: Fix) -> Item:
    if fix.action == DROP and item.status == "ok":
        reason = f"dropped as asked for: {fix.problem}" if fix.problem else "dropped as asked for"
        return replace(item, status="dropped", reason=reason)
    return replace(item, label=fix.to) if fix.action == RELABEL else item


def _fix(row: dict[str, str], line: int) -> Fix:
    # Blanks can belong to a name: only what is no name is trimmed.
    path, problem, suggestion = (from_cell(row.get(name) or "") for name in _COLUMNS)
    for action in (RELABEL, GROUP):
        if suggestion.startswith(f"{action} "):
            return Fix(path, problem, action, suggestion.removeprefix(f"{action} "), line)
    return Fix(path, problem, suggestion.strip(), "", line)


def _unknown_actions(fixes: Sequence[Fix]) -> Iterator[str]:
    for fix in fixes:
        if (fix.action, bool(fix.to)) not in {("", False), (DROP, False), (RELABEL, True),
                                              (GROUP, True)}:  # fmt: skip
            yield f"line {fix.line}: {printable(fix.suggestion)!r} is no suggestion"


def _contradictions(fixes: Sequence[Fix]) -> Iterator[str]:
    """A path that is to be relabelled in two ways, or both dropped and relabelled."""
    asked = defaultdict(list)
    for fix in fixes:
        if fix.action in (DROP, RELABEL):
            asked[fix.path].append(fix)
    for path, same in asked.items():
        suggestions = sorted({fix.suggestion for fix in same})
        if len(suggestions) > 1:
            lines = listed([str(fix.line) for fix in same])
            yield f"lines {lines}: {printable(path)}: {' and '.join(map(printable, suggestions))}"


def _dangling(fixes: Sequence[Fix], places: dict[str, int], classes: set[str]) -> Iterator[str]:
    for fix in fixes:
        if fix.path not in places:
            continue
        if fix.action == RELABEL and fix.to not in classes:
            close = nearest(fix.to, sorted(classes))
            hint = f"; the nearest is {printable(close)}" if close else ""
            yield f"line {fix.line}: there is no class {printable(fix.to)}{hint}"
        if fix.action == GROUP and fix.to not in places:
            yield f"line {fix.line}: there is no image {printable(fix.to)}"


def _raise_if(path: Path, faults: list[str]) -> None:
    if faults:
        raise DataError("\n".join(faults), where=printable(str(path)), mend=_MEND)
