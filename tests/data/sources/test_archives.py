from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune.data.sources import archives
from finetune.data.sources.archives import Entry, Judge, Meter, Span, check_apart, is_archive
from finetune.errors import DataError

HOSTILE = [
    ("/etc/cron.d/1.png", "an absolute path"),
    ("//server/1.png", "an absolute path"),
    ("../1.png", r"\.\. in its path"),
    ("cat/../../1.png", r"\.\. in its path"),
    ("cat/..", r"\.\. in its path"),
    ("C:/1.png", "path of a drive"),
    ("c:1.png", "path of a drive"),
    ("cat\\1.png", "a backslash"),
    ("..\\1.png", "a backslash"),
    ("cat/1.png\0.txt", "a NUL character"),
    ("/".join("d" * 33), "more than 32 folders deep"),
    ("cat/" + "x" * 256, "too long a name"),
    ("/".join(["x" * 200] * 12), "too long a name"),
    ("cat/\ud800.png", "no text"),
    ("./", "the same file"),
    ("", "the same file"),
]


@pytest.mark.parametrize(("name", "message"), HOSTILE)
def test_names_that_lead_elsewhere_are_refused(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        Judge(folds_case=False).place(Entry(name, "file"))
    assert "Nothing was unpacked" in caught.value.mend
    assert "\0" not in str(caught.value)


@given(st.text(st.sampled_from("ab.:/\\\0C~ \n"), max_size=12), st.booleans())
@example("a/./b//c", False)
@example(".../a", True)
def test_what_is_placed_stays_inside(name: str, folds_case: bool) -> None:
    try:
        place = Judge(folds_case).place(Entry(name, "file"))
    except DataError:
        return
    if place is not None:
        folder = Path("/cache/folder")
        assert folder in (folder / place).resolve().parents
        assert not place.is_absolute()
        assert not any(part.startswith(".") for part in place.parts)


@pytest.mark.parametrize("kind", ["a symbolic link", "a hard link", "a device or a pipe"])
def test_only_files_and_folders_are_placed(kind: str) -> None:
    with pytest.raises(DataError, match=f"its entry cat/1.png is {kind}"):
        Judge(folds_case=False).place(Entry("cat/1.png", kind))
    with pytest.raises(DataError, match="is encrypted"):
        Judge(folds_case=False).place(Entry("cat/1.png", "file", fault="is encrypted"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("cat/1.png", "cat/1.png"),
        ("cat/1.png", "./cat//1.png"),
        ("cat", "cat/1.png"),
        ("cat/1.png", "cat"),
        ("cat/1.txt", "cat/1.txt"),
    ],
)
def test_no_two_entries_fall_on_one_file(first: str, second: str) -> None:
    judge = Judge(folds_case=False)
    judge.place(Entry(first, "file"))
    with pytest.raises(DataError, match="falls on the same file as another"):
        judge.place(Entry(second, "file"))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("cat/a.png", "cat/A.PNG", "the same file"),
        ("cat/caf\u00e9.png", "cat/cafe\u0301.png", "the same file"),
        ("A/1.png", "a/2.png", "differs from the folder A in letter case"),
        ("x/A/1.png", "X/b/2.png", "differs from the folder x in letter case"),
    ],
)
def test_letter_case_counts_where_the_file_system_makes_no_difference(
    first: str, second: str, message: str
) -> None:
    judge = Judge(folds_case=True)
    judge.place(Entry(first, "file"))
    with pytest.raises(DataError, match=message):
        judge.place(Entry(second, "file"))
    judge = Judge(folds_case=False)
    assert [judge.place(Entry(name, "file")) for name in (first, second)] == [
        PurePosixPath(first),
        PurePosixPath(second),
    ]


def test_clutter_is_passed_over_and_other_files_are_counted() -> None:
    judge = Judge(folds_case=False)
    for name in ("__MACOSX/cat/._1.png", ".git/1.png", "cat/.hidden.png", "Thumbs.db"):
        assert judge.place(Entry(name, "file")) is None
    assert judge.place(Entry("photos/", "folder")) == PurePosixPath("photos")
    assert judge.place(Entry("./", "folder")) is None
    for name in ("cat/1.JPG", "list.csv", "list.Parquet"):
        assert judge.wanted(PurePosixPath(name))
    for name in ("cat/1.txt", "cat/2.TXT", "cat/README"):
        assert not judge.wanted(PurePosixPath(name))
    assert judge.ignored == {".txt": 2, "": 1}


def test_entries_and_the_folders_they_make_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_ENTRIES", 6)
    judge = Judge(folds_case=False)
    judge.place(Entry("a/b/c/d/1.png", "file"))
    judge.place(Entry("a/b/c/d/2.png", "file"))
    with pytest.raises(DataError, match="more than 6 files and folders"):
        judge.place(Entry("a/b/c/d/3.png", "file"))


def test_the_ratio_is_asked_beyond_a_hundred_mebibytes() -> None:
    meter = Meter(packed=2**20, room=2**40)
    meter.add(100 * 2**20)
    meter.add(100 * 2**20)
    with pytest.raises(DataError, match="more than 200 times its size"):
        meter.add(1)
    Meter(packed=10, room=2**40).add(100 * 2**20)


def test_no_more_is_written_than_there_is_room_for() -> None:
    meter = Meter(packed=2**20, room=3 * 2**20)
    meter.add(2**22)
    meter.add(0, 3 * 2**20)
    with pytest.raises(DataError, match="more than the 3 MiB that the disk"):
        meter.foresee(0, 1)


def test_overlapping_bytes_are_found_in_any_order() -> None:
    check_apart([Span("b", 10, 20), Span("a", 0, 10), Span("c", 20, 20)])
    with pytest.raises(DataError, match="its entry b overlaps with a"):
        check_apart([Span("b", 9, 20), Span("a", 0, 10)])


def test_archives_are_known_by_their_names() -> None:
    for name in ("a.zip", "A.ZIP", "a.tar", "a.tar.gz", "a.Tgz", "a.tar.bz2", "a.tar.xz"):
        assert is_archive(Path(name))
    for name in ("a.tar.zst", "a.gz", "zip", "a.7z", "a.zip.part"):
        assert not is_archive(Path(name))
