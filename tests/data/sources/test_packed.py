"""Zip and tar files as hostile as they can be made: each is refused, and leaves nothing behind."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune.cache import cache_folder
from finetune.data.reading import list_data
from finetune.data.sources import archives, packed, unpacking
from finetune.errors import DataError

PIXELS = b"not decoded here"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def refused(path: Path, message: str) -> None:
    """It is refused in these words, and nothing is left but the archive itself."""
    around = {each for each in path.parent.rglob("*") if "cache" not in each.parts}
    with pytest.raises(DataError, match=message) as caught:
        list_data(path)
    assert caught.value.where == str(path)
    assert {each for each in path.parent.rglob("*") if "cache" not in each.parts} == around
    shelf = cache_folder("archives")
    assert not shelf.exists() or not any(shelf.iterdir())


def zipped(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def tarred(path: Path, *entries: tuple[str, bytes], **options: Any) -> Path:
    with tarfile.open(path, "w", **options) as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


FORMS = [(zipped, "a.zip"), (tarred, "a.tar")]


@pytest.mark.parametrize(("write", "name"), FORMS)
@pytest.mark.parametrize("slip", ["../1.png", "/tmp/1.png", "cat/../../1.png", "C:/1.png"])
def test_entries_that_lead_out_are_refused(
    tmp_path: Path, write: Callable[..., Path], name: str, slip: str
) -> None:
    path = write(tmp_path / name, ("cat/1.png", PIXELS), (slip, PIXELS))
    refused(path, "its entry .* has (an absolute path|.. in its path|the path of a drive)")


@pytest.mark.parametrize(("write", "name"), FORMS)
def test_backslashes_are_refused(tmp_path: Path, write: Callable[..., Path], name: str) -> None:
    path = write(tmp_path / name, ("..\\1.png", PIXELS))
    refused(path, r"its entry ..\\1.png has a backslash")


def test_what_follows_a_nul_is_seen(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", ("cat/1.png_..", PIXELS))
    path.write_bytes(path.read_bytes().replace(b"1.png_..", b"1.png\0.."))
    refused(path, r"its entry cat/1.png\\u0000.. has a NUL")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("write", "name"), FORMS)
def test_two_entries_on_one_file_are_refused(
    tmp_path: Path, write: Callable[..., Path], name: str
) -> None:
    path = write(tmp_path / name, ("cat/1.png", PIXELS), ("cat/./1.png", b"other"))
    refused(path, "its entry cat/./1.png falls on the same file")
    path = write(tmp_path / f"2{name}", ("cat/1.png", PIXELS), ("cat/1.png", b"other"))
    refused(path, "its entry cat/1.png falls on the same file")
    path = write(tmp_path / f"3{name}", ("cat/1.png", PIXELS), ("cat/1.png/2.png", b"other"))
    refused(path, "falls on the same file")


@pytest.mark.parametrize(("write", "name"), FORMS)
def test_letter_case_is_what_the_file_system_says(
    tmp_path: Path, write: Callable[..., Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / name, ("cat/a.png", PIXELS), ("cat/A.png", b"other"))
    monkeypatch.setattr(unpacking, "_folds_case", lambda folder: True)
    refused(path, "its entry cat/A.png falls on the same file")
    monkeypatch.setattr(unpacking, "_folds_case", lambda folder: False)
    assert len(list_data(path).items) == 2


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o010666, 0o140666])
def test_links_and_devices_in_a_zip_are_refused(tmp_path: Path, mode: int) -> None:
    info = zipfile.ZipInfo("cat/1.png")
    info.create_system = 3
    info.external_attr = mode << 16
    kind = "a symbolic link" if mode == 0o120777 else "a device or a pipe"
    refused(zipped(tmp_path / "a.zip", (info, b"/etc/passwd")), f"its entry cat/1.png is {kind}")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device, a pipe"),
        (tarfile.GNUTYPE_SPARSE, "a file with holes"),
        (b"M", "unknown kind"),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes, message: str) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("cat/1.png")
        info.type = kind
        info.linkname = "/etc/passwd"
        archive.addfile(info)
    refused(tmp_path / "a.tar", f"its entry cat/1.png is .*{message}")


def test_a_file_below_a_link_is_refused_with_the_link(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("cat")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "victim")
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("cat/1.png"))
    refused(tmp_path / "a.tar", "its entry cat is a symbolic link")
    assert not any((tmp_path / "victim").iterdir())


def test_encrypted_entries_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", ("cat/1.png", PIXELS))
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    refused(path, "its entry cat/1.png is encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bound_are_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("cat/1.png", PIXELS)
    refused(tmp_path / "a.zip", "packed by another method than deflate")


ZEROS = bytes(3 * 2**20)


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same limits at a hundredth of the size."""
    monkeypatch.setattr(archives, "FREE_OF_RATIO", 2**20)


@pytest.mark.parametrize("name", ["cat/1.png", "cat/1.bin"])
@pytest.mark.parametrize("form", ["zip", "gz", "bz2", "xz"])
def test_bombs_are_refused(tmp_path: Path, strict: None, form: str, name: str) -> None:
    if form == "zip":
        path = zipped(tmp_path / "a.zip", (name, ZEROS))
    else:
        path = tmp_path / f"a.tar.{form}"
        with tarfile.open(path, f"w:{form}") as archive:  # type: ignore[call-overload]
            info = tarfile.TarInfo(name)
            info.size = len(ZEROS)
            archive.addfile(info, io.BytesIO(ZEROS))
    refused(path, "unpacks to more than 200 times its size")


def test_a_bomb_whose_headers_lie_is_cut_at_what_they_say(tmp_path: Path, strict: None) -> None:
    """Python's zipfile gives no more bytes than the header says, and then finds them wrong."""
    path = zipped(tmp_path / "a.zip", ("cat/1.png", ZEROS))
    content = path.read_bytes()
    size = struct.pack("<L", len(ZEROS))
    path.write_bytes(content.replace(size, struct.pack("<L", 1000)))
    refused(path, "is damaged .*Bad CRC-32")


def test_a_tar_whose_header_promises_more_than_there_is(tmp_path: Path) -> None:
    for size, message in ((5000, "cut off"), (2**40, "more than")):
        path = tmp_path / f"{size}.tar"
        info = tarfile.TarInfo("cat/1.png")
        info.size = size
        path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
        refused(path, message)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_that_would_fill_the_memory_are_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = kind, 2**32
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(2**20))
    refused(tmp_path / "a.tar.gz", "a header in it is too large")


def test_many_headers_in_a_row_are_refused(tmp_path: Path) -> None:
    """Each is small; together they would be kept for one file."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XGLTYPE, 0
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) * 3000 + bytes(1024))
    refused(tmp_path / "a.tar", "damaged|too large")


def test_overlapping_entries_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", ("cat/1.png", PIXELS), ("cat/2.png", PIXELS))
    content = bytearray(path.read_bytes())
    first = content.index(b"PK\1\2")
    second = content.index(b"PK\1\2", first + 1)
    content[second + 42 : second + 46] = struct.pack("<L", 4)
    path.write_bytes(content)
    refused(path, "overlap")


def test_more_entries_than_allowed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MOST_ENTRIES", 5)
    entries = [(f"cat/{number}.txt", b"") for number in range(9)]
    for write, name in FORMS:
        refused(write(tmp_path / name, *entries), "more than 5 files and folders")


def test_no_more_is_unpacked_than_the_disk_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 100

    path = zipped(tmp_path / "a.zip", ("cat/1.png", bytes(range(250))))
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage)
    refused(path, "more than the 0 MiB that the disk has to spare")


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_what_is_cut_off_or_altered_is_refused(tmp_path: Path, form: str) -> None:
    entries = [(f"cat/{n}.png", bytes(range(n, 200 + n)) * 9) for n in range(5)]
    path = tmp_path / f"a.{form}"
    if form == "zip":
        zipped(path, *entries)
    else:
        tarred_as(path, form.partition(".")[2], entries)
    content = path.read_bytes()
    end = 5 * (512 + 2048) if form == "tar" else len(content)  # of what is not padding
    for length in range(0, end, 331):
        cut = tmp_path / f"cut{length}.{form}"
        cut.write_bytes(content[:length])
        refused(cut, "is damaged")
    if form not in ("tar", "zip"):
        path.write_bytes(content[:40] + bytes([content[40] ^ 255]) + content[41:])
        refused(path, "is damaged")


def tarred_as(path: Path, compression: str, entries: list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def test_a_tar_cut_between_two_files_is_noticed(tmp_path: Path) -> None:
    path = tarred(tmp_path / "a.tar", ("cat/1.png", bytes(512)), ("cat/2.png", bytes(512)))
    path.write_bytes(path.read_bytes()[:1024])
    refused(path, "its end mark is missing")
    path.write_bytes(path.read_bytes() + b"no header" * 100)
    refused(path, "its end mark is missing")


def test_several_tars_in_one_file_are_told(tmp_path: Path) -> None:
    path = tarred(tmp_path / "a.tar", ("cat/1.png", PIXELS))
    path.write_bytes(path.read_bytes() * 2)
    refused(path, "perhaps it is several archives in one file")


def test_names_come_through(tmp_path: Path) -> None:
    names = ["caf\u00e9/\u6f22.png", "dog/a\nb.png", "dog/=1+1.png"]
    for write, name in FORMS:
        listing = list_data(write(tmp_path / name, *[(each, PIXELS) for each in names]))
        assert {item.path for item in listing.items} == set(names)


def test_zip_names_in_utf8_that_do_not_say_so(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", ("cat/caf\u00e9.png", PIXELS), ("dog/1.png", PIXELS))
    content = bytearray(path.read_bytes())
    content[7] &= ~8
    content[content.index(b"PK\1\2") + 9] &= ~8
    path.write_bytes(content)
    assert list_data(path).items[0].path == "cat/caf\u00e9.png"


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    name = "cat/k\udcfc.png"
    path = tarred(tmp_path / "a.tar", (name, PIXELS), format=tarfile.GNU_FORMAT)
    listing = list_data(path)
    assert [item.path for item in listing.items] == [name]
    assert (listing.root / name).is_file()
    path = zipped(tmp_path / "a.zip", ("cat/kx.png", PIXELS))
    path.write_bytes(path.read_bytes().replace(b"cat/kx", b"cat/k\x81"))  # as DOS wrote it
    assert [item.path for item in list_data(path).items] == ["cat/k\u00fc.png"]


def test_the_stream_that_tar_is_read_from_goes_forward_only() -> None:
    stream = packed._Forward(io.BytesIO(bytes(range(100))), archives.Meter(100, 100))
    assert (stream.seek(10), stream.read(2), stream.tell()) == (10, b"\n\x0b", 12)
    with pytest.raises(DataError, match="lies before the one"):
        stream.seek(3)
    with pytest.raises(DataError, match="cut off"):
        stream.seek(101)
