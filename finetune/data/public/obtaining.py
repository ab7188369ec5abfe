"""A file of a public data set: from its host, a mirror or a folder; compared with its digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.data.public.descriptors import Digest
from finetune.data.public.downloading import Download, Patience
from finetune.data.public.web import Refused, is_address
from finetune.data.sources.bulk import bytes_shown
from finetune.errors import DataError
from finetune.text import listed, printable

if TYPE_CHECKING:
    from collections.abc import Collection

    from finetune.console import Reporter
    from finetune.data.public.descriptors import Descriptor, RemoteFile

_CHUNK = 2**22


@dataclass(frozen=True)
class Obtained:
    """A file that is whole, and is what it should be as far as anybody can tell.

    Attributes:
        file: What the descriptor says of it.
        path: Where it lies.
        origin: The address or the path that it is from.
        digest: What its bytes come to.
    """

    file: RemoteFile
    path: Path
    origin: str
    digest: Digest


@dataclass(frozen=True)
class Obtaining:
    """Gets the files of one data set.

    Attributes:
        descriptor: Of the data set.
        folder: Where downloads gather; what is there already is gone on with.
        origin: The base address of a mirror, or a folder, that has the files by their names;
            empty: their own hosts.
        accepted: Digests that are taken though the descriptor says others.
    """

    descriptor: Descriptor
    folder: Path
    reporter: Reporter
    origin: str = ""
    accepted: Collection[str] = ()
    patience: Patience = field(default_factory=Patience)

    def check(self) -> None:
        """See to it, before anything is downloaded, that there is a way to each file.

        Raises:
            DataError: Some have to be got by hand, or there is no such folder.
        """
        if self.origin and not is_address(self.origin) and not Path(self.origin).is_dir():
            raise DataError(
                "is neither a folder nor an http or https address", where=printable(self.origin)
            )
        barred = [file.name for file in self.descriptor.files if not self._ways(file)]
        if barred:
            raise DataError(
                f"these files can't be downloaded: {listed(barred)}",
                where=self.descriptor.name,
                mend=self._by_hand(),
            )

    def missing(self) -> int:
        """Bytes that are still to be downloaded, as far as lengths are known."""
        return sum(self._missing_of(file) for file in self.descriptor.files)

    def _missing_of(self, file: RemoteFile) -> int:
        if self._local(file):
            return 0
        places = (self.folder / file.name, self.folder / f"{file.name}.part")
        have = sum(place.stat().st_size for place in places if place.exists())
        return max(0, (file.length or 0) - have)

    def get(self, file: RemoteFile) -> Obtained:
        """The file, whole and compared.

        Raises:
            DataError: It can't be had, or is another than the descriptor says.
        """
        if local := self._local(file):
            return self._compared(file, local, str(local))
        refusals = []
        for address in self._ways(file):
            try:
                return self._downloaded(file, address)
            except Refused as error:
                refusals.append(f"{address} {error.reason}")
        raise DataError(
            "\n".join(refusals),
            where=file.name,
            mend=f"What was downloaded is kept: the same command goes on with it.\n"
            f"{self._by_hand()}",
        )

    def _local(self, file: RemoteFile) -> Path | None:
        if not self.origin or is_address(self.origin):
            return None
        path = Path(self.origin) / file.name
        return path if path.is_file() else None

    def _ways(self, file: RemoteFile) -> tuple[str, ...]:
        """The addresses to try; for a file that lies in the folder, that."""
        if is_address(self.origin):
            return (f"{self.origin.rstrip('/')}/{file.name}",)
        local = self._local(file)
        return (str(local),) if local else file.addresses

    def _downloaded(self, file: RemoteFile, address: str) -> Obtained:
        download = Download(
            address, self.folder / f"{file.name}.part", file.name, file.length,
            file.digest is not None, self.reporter, self.patience,
        )  # fmt: skip
        whole = self.folder / file.name
        begun = whole.exists() or download.part.exists()
        try:
            return self._whole(file, whole, download)
        except DataError:
            if not (begun or download.resumed):
                raise  # the file stays, for the same command with --accept
        # What was gone on with may have been of another version, so once more from the start.
        self.reporter.say(f"{file.name}: its parts are not of one version; begun anew.")
        whole.unlink()
        return self._whole(file, whole, download)

    def _whole(self, file: RemoteFile, whole: Path, download: Download) -> Obtained:
        if not whole.exists():
            download.run()
            download.part.rename(whole)
            download.forget()
        return self._compared(file, whole, download.address)

    def _compared(self, file: RemoteFile, path: Path, origin: str) -> Obtained:
        algorithm = file.digest.algorithm if file.digest else "sha256"
        seen = digest_of(path, algorithm, self.reporter)
        if file.digest is None:
            self.reporter.warn(
                f"{file.name}: no digest is known, so that nothing could be compared; its is {seen}"
            )
        elif seen != file.digest and str(seen) not in self.accepted:
            raise DataError(
                f"its {algorithm} is {seen.value}, and not {file.digest.value} "
                f"(as {file.source} has it)",
                where=f"{file.name} from {printable(origin)}",
                mend=f"It is damaged, or its host has changed it. If you trust it as it is: "
                f"--accept {seen}",
            )
        return Obtained(file, path, origin, seen)

    def _by_hand(self) -> str:
        said = f"{self.descriptor.by_hand}\n" if self.descriptor.by_hand else ""
        names = listed([file.name for file in self.descriptor.files], 20)
        return (
            f"{said}By hand: put what you have of {names} into a folder, and name it:\n"
            f"  finetune datasets fetch {self.descriptor.name} --from FOLDER"
        )


def digest_of(path: Path, algorithm: str, reporter: Reporter) -> Digest:
    """What the bytes of a file come to, ``md5`` or ``sha256``."""
    total, done = hashlib.new(algorithm, usedforsecurity=False), 0
    shown = bytes_shown(f"Checking {path.name}", path.stat().st_size, reporter)
    with path.open("rb") as file, shown as bar:
        while chunk := file.read(_CHUNK):
            total.update(chunk)
            done += len(chunk)
            bar.reach(done)
    return Digest.model_validate({algorithm: total.hexdigest()})
