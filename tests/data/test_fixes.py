from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.data.fixes import DROP, GROUP, RELABEL, Fix, apply_fixes, read_fixes, write_fixes
from finetune.data.manifest import Item
from finetune.errors import DataError

HERE = Path("fixes.csv")
NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    | st.sampled_from("\n\r\t =+-@'\"\\,;\x1b\u202e\udce9"),
    min_size=1,
    max_size=12,
)


def _fixes() -> st.SearchStrategy[Fix]:
    plain = st.builds(Fix, NAMES, NAMES, st.sampled_from(["", DROP]))
    return plain | st.builds(Fix, NAMES, NAMES, st.sampled_from([RELABEL, GROUP]), NAMES)


def read(tmp_path: Path, text: str | bytes) -> list[Fix]:
    content = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    (tmp_path / "fixes.csv").write_bytes(content)
    return read_fixes(tmp_path / "fixes.csv")


HEAD = "path,problem,suggestion\n"


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_fixes(), max_size=6, unique_by=lambda fix: fix.path))
def test_names_of_any_kind_come_back(tmp_path: Path, fixes: list[Fix]) -> None:
    write_fixes(tmp_path / "fixes.csv", fixes)
    back = read_fixes(tmp_path / "fixes.csv")
    assert [(f.path, f.problem, f.action, f.to) for f in back] == [
        (f.path, f.problem, f.action, f.to) for f in fixes
    ]


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200) | st.text(max_size=80).map(lambda t: (HEAD + t).encode()))
def test_no_file_raises_anything_but_what_can_be_mended(tmp_path: Path, content: bytes) -> None:
    with suppress(DataError):
        assert all(isinstance(fix, Fix) for fix in read(tmp_path, content))


def test_a_persons_file(tmp_path: Path) -> None:
    text = "\ufeff" + HEAD + "a.jpg,,drop \r\nb.jpg,blurred,\r\nc.jpg,x,relabel to big cat\r\n"
    assert read(tmp_path, text + "d.jpg,,group with a.jpg,note\n") == [
        Fix("a.jpg", "", DROP, "", 2),
        Fix("b.jpg", "blurred", "", "", 3),
        Fix("c.jpg", "x", RELABEL, "big cat", 4),
        Fix("d.jpg", "", GROUP, "a.jpg", 5),
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "2 columns missing: path, suggestion"),
        ("path,problem\na,blurred\n", "1 column missing: suggestion"),
        (HEAD + "a,,delete\n", "line 2: 'delete' is no suggestion"),
        (HEAD + "a,,relabel to \n", "line 2: 'relabel to' is no suggestion"),
        (HEAD + "a,,group with\nb,,drop it\n", "line 3: 'drop it' is no suggestion"),
        (HEAD + "a,,drop\nb,,\na,,relabel to x\n", "lines 2, 4: a: drop and relabel to x"),
        (HEAD + "a,,relabel to y\na,,relabel to x\n", "2, 3: a: relabel to x and relabel to y"),
    ],
)
def test_faults_of_the_file_are_told(tmp_path: Path, text: str, found: str) -> None:
    with pytest.raises(DataError, match=r"fixes\.csv") as caught:
        read(tmp_path, text)
    assert found in caught.value.found
    assert caught.value.mend


def test_all_faults_are_told_together_and_safely(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, HEAD + "a,,\x1b[2J\nb,,burn\nc,,drop\nc,,relabel to \x1b\n")
    lines = caught.value.found.split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


def test_the_problem_is_for_eyes_and_may_be_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, "path,suggestion\na.jpg,drop\n") == [Fix("a.jpg", "", DROP, "", 2)]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_other_marks_between_cells_are_named(tmp_path: Path, mark: str) -> None:
    with pytest.raises(DataError, match="divided by commas, not by semicolons or tabs"):
        read(tmp_path, (HEAD + "a.jpg,,drop\n").replace(",", mark))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_other_encodings_are_named(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(DataError, match=r"is no UTF-8 text\nSave it as UTF-8\."):
        read(tmp_path, (HEAD + "a.jpg,,drop\n").encode(encoding))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    mend = "finetune check DATA --out DIR writes such a file"
    with pytest.raises(DataError, match=f"can't be read: No such file or directory\n{mend}"):
        read_fixes(tmp_path / "none.csv")
    with pytest.raises(DataError, match=f"can't be read: Is a directory\n{mend}"):
        read_fixes(tmp_path)


ITEMS = (Item("a", "cat"), Item("b", "dog"), Item("c", "dog", status="bad", reason="empty file"))


def test_fixes_are_applied_in_order_and_to_copies() -> None:
    fixes = [
        Fix("a", "blurred", DROP),
        Fix("b", "", RELABEL, "cat"),
        Fix("c", "", DROP),
        Fix("b", "", GROUP, "a"),
        Fix("z", "", DROP),
    ]
    fixed = apply_fixes(ITEMS, fixes, HERE)
    assert fixed.items == (
        Item("a", "cat", status="dropped", reason="dropped as asked for: blurred"),
        Item("b", "cat"),
        ITEMS[2],
    )
    assert fixed.ties == ((1, 0),)
    assert fixed.unknown == ("z",)
    assert ITEMS[0].status == "ok"


def test_nothing_to_do_changes_nothing() -> None:
    assert apply_fixes(ITEMS, [Fix("a", "odd")], HERE).items == ITEMS
    assert apply_fixes(ITEMS, [Fix("a", "", DROP)], HERE).items[0].reason == "dropped as asked for"


def test_classes_and_images_that_are_not_there_are_told() -> None:
    fixes = [Fix("a", "", RELABEL, "dgo", 2), Fix("b", "", GROUP, "q", 3), Fix("z", "", GROUP, "q")]
    with pytest.raises(DataError) as caught:
        apply_fixes(ITEMS, fixes, HERE)
    assert caught.value.found.split("\n") == [
        "line 2: there is no class dgo; the nearest is dog",
        "line 3: there is no image q",
    ]


def test_a_list_of_other_images_is_an_error() -> None:
    with pytest.raises(DataError, match=r"fixes\.csv: no row is of an image of DATA") as caught:
        apply_fixes(ITEMS, [Fix("photos/a", "", DROP), Fix("photos/b", "odd")], HERE)
    assert caught.value.mend == "Paths are those below DATA, such as a; a row has photos/a."


def test_a_list_without_rows_is_none() -> None:
    assert apply_fixes(ITEMS, [], HERE).items == ITEMS
