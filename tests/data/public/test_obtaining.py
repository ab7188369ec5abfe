"""A file is what its descriptor says, or it is told what it is and how to take it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune.data.public.catalogue import descriptor
from finetune.data.public.descriptors import Descriptor, Digest, RemoteFile
from finetune.data.public.downloading import Patience
from finetune.data.public.obtaining import Obtained, Obtaining
from finetune.errors import DataError

BODY = b"a small file of some bytes " * 50
SHA = hashlib.sha256(BODY).hexdigest()
MD5 = hashlib.md5(BODY).hexdigest()
QUICK = Patience(failures=2, wait=0.0, longest=0.0, silence=0.5)


def remote(*addresses: str, **changes: Any) -> RemoteFile:
    fields = {
        "name": "images.zip", "addresses": addresses, "bytes": len(BODY),
        "digest": {"sha256": SHA}, "source": "the test",
    }  # fmt: skip
    return RemoteFile.model_validate(fields | changes)


def about(file: RemoteFile, **changes: Any) -> Descriptor:
    return descriptor("hymenoptera").model_copy(update={"files": (file,), **changes})


@pytest.fixture
def get(tmp_path: Path, told) -> Callable[..., Obtained]:
    def obtain(file: RemoteFile, **options: Any) -> Obtained:
        (tmp_path / "work").mkdir(exist_ok=True)
        obtaining = Obtaining(
            about(file), tmp_path / "work", Silenced(told), patience=QUICK, **options
        )
        obtaining.check()
        return obtaining.get(file)

    return obtain


class Silenced:
    """Remembers what it is told, and of bars nothing."""

    def __init__(self, told: Any) -> None:
        self.said, self.warned = told.said, told.warned
        from finetune.console import Silent

        self.task = Silent().task

    def say(self, message: str) -> None:
        self.said.append(message)

    def warn(self, message: str) -> None:
        self.warned.append(message)


def test_a_file_is_downloaded_and_compared(host, send, get):
    file = remote(host.give("/a", send(BODY)))
    obtained = get(file)
    assert obtained.path.read_bytes() == BODY
    assert obtained.path.name == "images.zip"
    assert str(obtained.digest) == f"sha256:{SHA}"
    assert get(file) == obtained
    assert len(host.asked) == 1


def test_md5_serves_where_that_is_known(host, send, get):
    obtained = get(remote(host.give("/a", send(BODY)), digest={"md5": MD5}))
    assert str(obtained.digest) == f"md5:{MD5}"


@pytest.mark.parametrize("wrong", [BODY[:-1], BODY + b"!", BODY.replace(b"m", b"n"), b""])
def test_other_bytes_are_refused_and_can_be_accepted_by_their_digest(host, send, get, wrong):
    file = remote(host.give("/a", send(wrong, length=None)))
    with pytest.raises(DataError) as refused:
        get(file)
    digest = hashlib.sha256(wrong).hexdigest()
    assert f"its sha256 is {digest}, and not {SHA} (as the test has it)" in refused.value.found
    assert f"--accept sha256:{digest}" in refused.value.mend
    assert get(file, accepted={f"sha256:{digest}"}).path.read_bytes() == wrong
    assert len(host.asked) == 1


def test_wrong_bytes_of_an_earlier_run_are_downloaded_anew(host, send, get, told):
    file = remote(host.give("/a", send(b"wrong"), send(BODY)))
    with pytest.raises(DataError):
        get(file)
    assert get(file).path.read_bytes() == BODY
    assert "images.zip: its parts are not of one version; begun anew." in told.said


def test_a_rest_of_another_version_is_noticed_by_the_digest(host, send, get):
    old = bytes(reversed(BODY))
    file = remote(host.give("/a", send(old, sent=100), send(BODY)))
    assert get(file).path.read_bytes() == BODY
    assert host.ranges() == ["", "bytes=100-", ""]


def test_a_host_that_always_sends_the_wrong_bytes_is_left(host, send, get):
    broken = [send(bytes(len(BODY)), sent=100), send(bytes(len(BODY)))]
    file = remote(host.give("/a", *broken, *broken))
    with pytest.raises(DataError, match="its sha256 is"):
        get(file)
    assert host.ranges() == ["", "bytes=100-", "", "bytes=100-"]


def test_a_length_that_is_too_short_is_noticed_by_the_digest(host, send, get):
    with pytest.raises(DataError, match="its sha256 is"):
        get(remote(host.give("/a", send(BODY, length=10))))


def test_without_a_digest_the_one_that_was_seen_is_told(host, send, get, told):
    obtained = get(remote(host.give("/a", send(BODY)), digest=None))
    assert obtained.digest == Digest(sha256=SHA)
    assert told.warned == [
        f"images.zip: no digest is known, so that nothing could be compared; its is sha256:{SHA}"
    ]


def test_the_next_address_is_asked_where_one_fails(host, send, get):
    gone, there = host.give("/gone", send(b"", status=404)), host.give("/a", send(BODY))
    assert get(remote(gone, there)).origin == there


def test_where_all_fail_each_reason_is_told_and_what_to_do(host, send, get):
    gone = host.give("/gone", send(b"", status=404))
    barred = host.give("/barred", send(b"", status=403))
    with pytest.raises(DataError) as refused:
        get(remote(gone, barred))
    assert refused.value.where == "images.zip"
    assert "/gone answers 404" in refused.value.found
    assert "/barred answers 403" in refused.value.found
    assert "finetune datasets fetch hymenoptera --from FOLDER" in refused.value.mend


def test_a_mirror_is_asked_instead_of_the_host(host, send, get):
    host.give("/mirror/images.zip", send(BODY))
    for base in (f"{host.address}/mirror", f"{host.address}/mirror/"):
        obtained = get(remote("http://127.0.0.1:9/never"), origin=base)
        assert obtained.origin == f"{host.address}/mirror/images.zip"


def test_a_file_of_a_folder_is_used_where_it_lies(get, tmp_path):
    (tmp_path / "mine").mkdir()
    path = tmp_path / "mine" / "images.zip"
    path.write_bytes(BODY)
    assert get(remote("http://127.0.0.1:9/never"), origin=str(tmp_path / "mine")).path == path
    path.write_bytes(b"other")
    with pytest.raises(DataError, match="its sha256 is"):
        get(remote("http://127.0.0.1:9/never"), origin=str(tmp_path / "mine"))
    assert path.read_bytes() == b"other"


def test_what_a_folder_lacks_is_downloaded(host, send, get, tmp_path):
    (tmp_path / "mine").mkdir()
    there = host.give("/a", send(BODY))
    assert get(remote(there), origin=str(tmp_path / "mine")).origin == there


def test_what_has_no_address_is_told_before_anything_is_asked(tmp_path, told, host):
    file = remote()
    obtaining = Obtaining(about(file, by_hand="Ask the makers."), tmp_path, told)
    with pytest.raises(DataError) as refused:
        obtaining.check()
    assert "these files can't be downloaded: images.zip" in str(refused.value)
    assert refused.value.mend.startswith("Ask the makers.\nBy hand: put what you have of")


def test_only_what_is_missing_wants_room(tmp_path, told):
    (tmp_path / "mine").mkdir()
    obtaining = Obtaining(about(remote("http://a/b")), tmp_path, told, str(tmp_path / "mine"))
    assert obtaining.missing() == len(BODY)
    (tmp_path / "images.zip.part").write_bytes(BODY[:100])
    assert obtaining.missing() == len(BODY) - 100
    (tmp_path / "mine" / "images.zip").touch()
    assert obtaining.missing() == 0


def test_a_folder_that_is_not_there_is_told(tmp_path, told):
    with pytest.raises(DataError, match="is neither a folder nor an http or https address"):
        Obtaining(about(remote()), tmp_path, told, origin="ftp://example.org").check()
