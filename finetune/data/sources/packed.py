"""What lies in zip and tar files, entry by entry, read so that no header makes memory run out."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from finetune.data.sources.archives import Entry, Span, check_apart
from finetune.errors import DataError, FinetuneError
from finetune.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from finetune.data.sources.archives import Meter

_CHUNK = 2**20
_LONGEST_HEADER = 2**20
"""Bytes that may stand between two files of a tar: long names, and lists of attributes."""

_LOCAL_HEADER = 30  # bytes of a zip entry's own header, at the least
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_UTF8 = 0x800
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BLOCK = tarfile.BLOCKSIZE


def zip_entries(file: IO[bytes], meter: Meter) -> Iterator[tuple[Entry, Iterator[bytes]]]:
    """The entries of a zip file as they lie in it, each with its bytes.

    Raises:
        DataError: It is damaged, its entries overlap, or it is larger than ``meter`` allows.
    """
    with _damage_told(), zipfile.ZipFile(file) as archive:
        infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
        check_apart(_span(info) for info in infos)
        meter.foresee(sum(info.file_size for info in infos))
        for info in infos:
            yield _zip_entry(info), _zip_content(archive, info, meter)


def _span(info: zipfile.ZipInfo) -> Span:
    start = info.header_offset
    return Span(_zip_name(info), start, start + _LOCAL_HEADER + info.compress_size)


def _zip_entry(info: zipfile.ZipInfo) -> Entry:
    fault = ""
    if info.flag_bits & _ENCRYPTED:
        fault = "is encrypted"
    elif info.compress_type not in _METHODS:
        fault = "is packed by another method than deflate"
    name = _zip_name(info)
    return Entry(name, _zip_kind(info, name), info.file_size, info.header_offset, fault)


def _zip_kind(info: zipfile.ZipInfo, name: str) -> str:
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a device or a pipe"
    return "folder" if name.endswith("/") or stat.S_ISDIR(mode) else "file"


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The whole name: up to a NUL ``filename`` has it, and macOS writes UTF-8 without saying so."""
    if info.flag_bits & _UTF8:
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.orig_filename


def _zip_content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, meter: Meter) -> Iterator[bytes]:
    with _damage_told(), archive.open(info) as content:
        while chunk := content.read(_CHUNK):
            meter.add(len(chunk))
            yield chunk


def tar_entries(file: IO[bytes], meter: Meter) -> Iterator[tuple[Entry, Iterator[bytes]]]:
    """The entries of a tar file, compressed or not, as they lie in it, each with its bytes.

    The bytes can be had until the next entry is asked for.

    Raises:
        DataError: It is damaged, cut off, or larger than ``meter`` allows.
    """
    with _damage_told():
        stream = _Forward(_decompressed(file), meter)
        archive = tarfile.open(fileobj=stream, mode="r:")  # noqa: SIM115 - `file` is not ours
        while info := archive.next():
            archive.members = []  # type: ignore[attr-defined]  # else it keeps them all
            stream.between_files = False
            content = _tar_content(stream, info.size if info.isreg() else 0)
            yield _tar_entry(info, file.tell()), content
            _pass_over(content)
            stream.between_files = True
        _check_end(stream)


def _tar_entry(info: tarfile.TarInfo, at: int) -> Entry:
    return Entry(info.name, _tar_kind(info), info.size, at)


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.isdir():
        return "folder"
    if info.issparse():
        return "a file with holes"
    if info.isreg():
        return "file"
    if info.islnk():
        return "a hard link"
    return "a symbolic link" if info.issym() else "a device, a pipe or of an unknown kind"


def _tar_content(stream: _Forward, size: int) -> Iterator[bytes]:
    with _damage_told():
        while size > 0:
            chunk = stream.read(min(size, _CHUNK))
            if not chunk:
                raise _damaged("it is cut off")
            size -= len(chunk)
            yield chunk


def _pass_over(content: Iterable[bytes]) -> None:
    for _ in content:
        pass


def _check_end(stream: _Forward) -> None:
    """`tarfile` ends in silence at what is no header, and where a file is cut between entries."""
    if stream.latest != bytes(_BLOCK):
        raise _damaged("its end mark is missing")
    stream.between_files = False
    while chunk := stream.read(_CHUNK):
        if chunk.strip(b"\0"):
            raise _damaged("more follows its end mark; perhaps it is several archives in one file")


class _Forward(io.RawIOBase):
    """What `tarfile` reads from: counts bytes, goes forward only, and keeps headers small."""

    def __init__(self, file: IO[bytes], meter: Meter) -> None:
        self.between_files = True
        self.latest = b""
        self._file = file
        self._meter = meter
        self._position = 0
        self._header = 0

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < self._position:
            raise _damaged("an entry lies before the one it follows")
        _pass_over(_tar_content(self, offset - self._position))
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        size = _LONGEST_HEADER + 1 if size is None or size < 0 else size
        self._header = self._header + size if self.between_files else 0
        if self._header > _LONGEST_HEADER:
            raise _damaged("a header in it is too large")
        self.latest = self._file.read(size)
        self._position += len(self.latest)
        self._meter.add(len(self.latest))
        return self.latest


def _decompressed(file: IO[bytes]) -> IO[bytes]:
    """By the first bytes: browsers take the compression away and leave the name."""
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)
    return lzma.LZMAFile(file) if start == b"\xfd7zXZ\0" else file


@contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except FinetuneError:
        raise
    except Exception as error:  # decoders fail on damaged bytes in every way there is
        detail = str(error) or type(error).__name__
        raise _damaged(detail.splitlines()[0][:120]) from error


def _damaged(detail: str) -> DataError:
    return DataError(
        f"is damaged or no archive of its kind: {printable(detail)}",
        mend="Fetch or pack it again. Nothing was unpacked.",
    )
