from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.data.files.decoding import UnreadableImage, decode, suffix
from finetune.data.files.limits import too_many_bytes, webp_canvas, webp_is_cut_off
from finetune.data.files.reasons import TRUNCATED, not_decoded, not_opened
from finetune.data.files.signatures import BEGINNING, unidentified


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "no permission to read it"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "no such file"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory"), "no such file"),
        (OSError(errno.ELOOP, "Too many"), "a link that leads back to itself"),
        (OSError(errno.ENAMETOOLONG, "File name too long"), "its name is too long"),
        (OSError(errno.EMFILE, "Too many open files"), "can't be opened: Too many open files"),
        (ValueError("embedded null byte"), "can't be opened: embedded null byte"),
    ],
)
def test_why_a_file_is_not_opened(error: OSError | ValueError, reason: str) -> None:
    assert not_opened(Path("there is none of that name"), error) == reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("image file is truncated (3 bytes not processed)"), TRUNCATED),
        (EOFError(), TRUNCATED),
        (MemoryError(), "too large for the memory"),
        (OSError(errno.EIO, "Input/output error"), "can't be read: Input/output error"),
        (
            SyntaxError("broken\n\x1b[2J"),
            r"damaged, or of a kind that is not read (broken \u001b[2J)",
        ),
        (IndexError(), "damaged, or of a kind that is not read (IndexError)"),
        (OSError("\n"), "damaged, or of a kind that is not read (OSError)"),
        (OSError("odd", 3), "damaged, or of a kind that is not read"),
    ],
)
def test_why_a_file_is_not_decoded(error: Exception, reason: str) -> None:
    assert not_decoded(error).startswith(reason) or not_decoded(error).startswith("can't be read")
    assert not_decoded(error).isprintable()


@given(st.text(max_size=300))
def test_a_decoders_words_are_short_and_on_one_line(words: str) -> None:
    reason = not_decoded(RuntimeError(words))
    assert len(reason.splitlines()) == 1
    assert "\x1b" not in reason


@given(st.binary(min_size=1, max_size=BEGINNING))
def test_any_beginning_gets_a_reason(beginning: bytes) -> None:
    assert unidentified(beginning).isprintable()
    too_many = webp_canvas(beginning), webp_is_cut_off(beginning, len(beginning))
    assert len(too_many) == 2


@pytest.mark.parametrize("letter", ["a", "é", "漢", "\N{GRINNING FACE}"])
def test_text_is_known_though_its_last_letter_is_cut(letter: str) -> None:
    for start in range(4):
        beginning = (" x" * start + letter * BEGINNING).encode()[:BEGINNING]
        assert unidentified(beginning).endswith("but text")


def test_files_larger_than_a_picture_can_be() -> None:
    assert too_many_bytes(10**6, 10) == ""
    assert too_many_bytes(2**33, 10**6) == (
        "8.0 GiB, more than data.max_pixels (1,000,000) pixels can take"
    )


def test_endings() -> None:
    names = ("a.JPG", "a.b.png", "a.jpg ", "a.jpg..", ".jpg", "jpg", "a.jpg.part", " .gif")
    assert [suffix(n) for n in names] == [".jpg", ".png", ".jpg", ".jpg", "", "", ".part", ".gif"]


def test_the_disk_fails_while_a_picture_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")

    def failing(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("finetune.data.files.decoding.Image.open", failing)
    with pytest.raises(UnreadableImage, match="can't be read: Input/output error"):
        decode(tmp_path / "a.png", 100)


def test_what_becomes_a_folder_between_two_looks_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    state = (tmp_path / "a.png").stat()
    (tmp_path / "a.png").unlink()
    os.mkfifo(tmp_path / "a.png")
    monkeypatch.setattr("finetune.data.files.decoding.os.stat", lambda path: state)
    with pytest.raises(UnreadableImage, match="not a regular file"):
        decode(tmp_path / "a.png", 100)
