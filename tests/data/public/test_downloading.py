"""Whatever the server does, a download ends with the right bytes or with a reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.console import Silent
from finetune.data.public import downloading
from finetune.data.public.downloading import Download, Patience
from finetune.data.public.web import Broken, Refused

BODY = bytes(range(256)) * 40
QUICK = Patience(failures=4, wait=0.0, longest=0.0, silence=0.5)


class Interrupting(Silent):
    """Ctrl-C while bytes arrive."""

    def task(self, *_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt


@pytest.fixture
def download(tmp_path: Path) -> Callable[..., Download]:
    def make(address: str, **options: Any) -> Download:
        options = {"length": None, "checked": False, "reporter": Silent(), **options}
        return Download(address, tmp_path / "file.part", "file", patience=QUICK, **options)

    return make


def got(download: Download) -> bytes:
    download.run()
    return download.part.read_bytes()


def test_a_file_is_asked_for_once(host, send, download):
    assert got(download(host.give("/a", send(BODY)))) == BODY
    assert host.ranges() == [""]
    assert got(download(f"{host.address}/a")) == BODY
    assert len(host.asked) == 1


def test_an_empty_file_is_a_file(host, send, download):
    assert got(download(host.give("/a", send(b"")))) == b""


def test_a_broken_connection_goes_on_where_it_broke(host, send, download):
    address = host.give("/a", send(BODY, sent=3000, ETag='"1"'), send(BODY, ETag='"1"'))
    assert got(download(address)) == BODY
    assert host.ranges() == ["", "bytes=3000-"]
    assert host.asked[1][1]["If-Range"] == '"1"'


def test_a_date_serves_where_there_is_no_strong_tag(host, send, download):
    date = "Sat, 01 Jan 2022 00:00:00 GMT"
    versions = {"ETag": 'W/"1"', "Last_Modified": date}
    address = host.give("/a", send(BODY, sent=9, **versions), send(BODY, ranges=False))
    assert got(download(address)) == BODY
    assert host.asked[1][1]["If-Range"] == date


def test_without_a_version_it_begins_anew_unless_a_digest_will_tell(host, send, download):
    assert got(download(host.give("/a", send(BODY, sent=9), send(BODY)))) == BODY
    assert host.ranges() == ["", ""]


def test_with_a_digest_it_goes_on_without_a_version(host, send, download):
    address = host.give("/a", send(BODY, sent=9), send(BODY))
    assert got(download(address, checked=True)) == BODY
    assert host.ranges() == ["", "bytes=9-"]


def test_a_server_without_ranges_starts_over(host, send, download):
    address = host.give("/a", send(BODY, sent=9, ETag='"1"'), send(BODY, ranges=False, ETag='"1"'))
    assert got(download(address)) == BODY


def test_a_file_that_changed_in_between_is_had_whole(host, send, download):
    new = bytes(reversed(BODY))
    address = host.give("/a", send(BODY, sent=3000, ETag='"1"'), send(new, ETag='"2"'))
    assert got(download(address)) == new


def test_a_rest_of_another_version_is_not_taken(host, send, download):
    new = bytes(reversed(BODY))

    def careless(handler):  # answers the range, whatever the condition
        del handler.headers["If-Range"]
        send(new, ETag='"2"')(handler)

    address = host.give("/a", send(BODY, sent=3000, ETag='"1"'), careless)
    assert got(download(address)) == new
    assert host.ranges() == ["", "bytes=3000-", ""]


def test_another_part_than_the_one_asked_for_is_not_taken(host, send, download):
    def wrong(handler):
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 7-{len(BODY) - 1}/{len(BODY)}")
        handler.send_header("Content-Length", str(len(BODY) - 7))
        handler.end_headers()
        handler.wfile.write(BODY[7:])

    address = host.give("/a", send(BODY, sent=3000, ETag='"1"'), wrong, send(BODY, ETag='"1"'))
    assert got(download(address)) == BODY


def test_more_on_disk_than_the_server_has_begins_anew(host, send, download):
    short = BODY[:100]
    none = send(b"", status=416, ranges=False)
    address = host.give("/a", send(BODY, sent=3000), none, send(short))
    assert got(download(address, checked=True)) == short


def test_a_length_that_is_too_long_is_never_reached(host, send, download):
    wanted = download(host.give("/a", send(BODY, length=len(BODY) + 5, ranges=False)))
    with pytest.raises(Broken, match=r"broke off at 10,240 of 10,245 bytes"):
        wanted.run()
    assert len(host.asked) == QUICK.failures


def test_without_a_length_the_end_is_the_end(host, send, download):
    assert got(download(host.give("/a", send(BODY, length=None)))) == BODY


def test_a_server_that_never_ends_is_not_listened_to_forever(host, send, download, monkeypatch):
    monkeypatch.setattr(downloading, "MOST_BYTES", 5000)
    with pytest.raises(Broken, match="sends more than 5,000 bytes"):
        download(host.give("/a", send(BODY, length=None))).run()
    with pytest.raises(Broken, match="sends more than 2,000 bytes"):
        download(f"{host.address}/a", length=1000).run()


def test_broken_chunks_are_heard(host, send, download):
    def chunked(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"10\r\nfour")
        handler.close_connection = True

    assert got(download(host.give("/a", chunked, send(BODY)))) == BODY


def test_silence_is_heard_and_slowness_is_put_up_with(host, send, download):
    def slow(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "40")
        handler.end_headers()
        for _ in range(8):
            handler.wfile.write(b"five ")
            time.sleep(0.01)

    def silent(handler):
        time.sleep(0.7)
        handler.close_connection = True

    assert got(download(host.give("/a", silent, slow))) == b"five " * 8


@pytest.mark.parametrize("status", [404, 403, 401, 410])
def test_what_is_refused_is_not_asked_again(host, send, download, status):
    with pytest.raises(Refused, match=f"answers {status}"):
        download(host.give("/a", send(b"", status=status))).run()
    assert len(host.asked) == 1


@pytest.mark.parametrize("status", [500, 503, 429])
def test_what_may_pass_is_asked_again(host, send, download, status):
    busy = send(b"", status=status, Retry_After="7")
    assert got(download(host.give("/a", busy, busy, send(BODY)))) == BODY
    host.asked.clear()
    with pytest.raises(Broken, match=f"answers {status}"):
        download(host.give("/b", busy)).run()
    assert len(host.asked) == QUICK.failures


def test_it_waits_as_long_as_it_is_asked_to_within_reason(host, send, tmp_path, monkeypatch):
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    address = host.give(
        "/a",
        send(b"", status=429, Retry_After="7"),
        send(b"", status=429, Retry_After="7000"),
        send(b"", status=503, Retry_After="Fri, 31 Dec 2027"),
        send(BODY),
    )
    Download(address, tmp_path / "part", "file", None, False, Silent()).run()
    assert waited == [7.0, 60.0, 4.0]


def test_a_page_instead_of_the_file_is_refused(host, send, download):
    with pytest.raises(Refused, match="sends a web page instead of the file"):
        download(host.give("/a", send(b"<html>", Content_Type="text/html; charset=utf-8"))).run()


def test_what_is_gained_buys_patience(host, send, tmp_path):
    body = bytes(5 * 2**20)
    breaking = [send(body, sent=2**20 + 1, ETag='"1"') for _ in range(4)]
    address = host.give("/a", *breaking, send(body, ETag='"1"'))
    impatient = Patience(failures=2, wait=0.0, longest=0.0)
    Download(address, tmp_path / "part", "file", None, False, Silent(), impatient).run()
    assert (tmp_path / "part").read_bytes() == body


def test_an_interrupted_download_goes_on_in_the_next_run(host, send, download):
    address = host.give("/a", send(BODY, sent=3000, ETag='"1"'), send(BODY, ETag='"1"'))
    first = download(address)
    first.patience = Patience(failures=1)
    with pytest.raises(Broken):
        first.run()
    with pytest.raises(KeyboardInterrupt):
        download(address, reporter=Interrupting()).run()
    assert got(download(address)) == BODY
    assert host.ranges()[-1] == "bytes=3000-"


def test_a_damaged_note_means_to_begin_anew(host, send, download):
    address = host.give("/a", send(BODY, sent=3000, ETag='"1"'), send(BODY, ETag='"1"'))
    wanted = download(address)
    wanted.patience = Patience(failures=1)
    with pytest.raises(Broken):
        wanted.run()
    wanted.part.with_name("file.part.json").write_text("{", encoding="utf-8")
    assert got(download(address)) == BODY
    assert host.ranges() == ["", ""]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    breaks=st.lists(st.integers(0, len(BODY)), max_size=6),
    ranges=st.booleans(),
    tag=st.sampled_from(['"1"', 'W/"1"', ""]),
    length=st.sampled_from([-1, None]),
)
def test_however_it_breaks_the_bytes_are_right(host, send, download, breaks, ranges, tag, length):
    """Where the server says a length; without one, a break looks like the end."""
    tags = {"ETag": tag} if tag else {}
    answers = [send(BODY, sent=each, ranges=ranges, **tags) for each in breaks]
    wanted = download(host.give("/a", *answers, send(BODY, length=length, ranges=ranges, **tags)))
    wanted.forget()
    wanted.patience = Patience(failures=99, wait=0.0, longest=0.0)
    assert got(wanted) == BODY
