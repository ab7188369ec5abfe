"""Where a server may send us, and what its errors come to."""

from __future__ import annotations

import email.message
import http.client
import ssl
import urllib.error
import urllib.request

import pytest

from finetune.data.public.web import Broken, Refused, _Redirects, ask, is_address, judged


def test_only_http_and_https_are_addresses():
    assert is_address("https://example.org/a")
    assert is_address("http://example.org")
    for other in ("ftp://example.org/a", "file:///etc/passwd", "photos", "http:", "/a", "c:\\a"):
        assert not is_address(other)


def test_redirects_are_followed(host, send):
    address = host.give("/a", send(b"", status=302, ranges=False, Location="/b"))
    host.give("/b", send(b"here"))
    with ask(address, {"Range": "bytes=1-"}, 5) as answer:
        assert answer.read() == b"ere"


def test_a_circle_of_redirects_is_left(host, send):
    address = host.give("/a", send(b"", status=302, Location="/b"))
    host.give("/b", send(b"", status=301, Location="/a"))
    with pytest.raises(Refused, match="sends us in a circle"):
        ask(address, {}, 5)
    assert len(host.asked) < 20


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a", "data:,hello"])
def test_a_redirect_to_another_scheme_is_refused(host, send, target):
    with pytest.raises(Refused):
        ask(host.give("/a", send(b"", status=302, Location=target)), {}, 5)


def test_a_redirect_from_https_to_http_is_refused():
    request = urllib.request.Request("https://example.org/a")
    with pytest.raises(Refused, match="from https down to http"):
        _Redirects().redirect_request(
            request, None, 302, "Found", http.client.HTTPMessage(), "http://example.org/a"
        )


def test_nobody_at_home_may_pass():
    with pytest.raises(Broken, match="can't be reached"):
        ask("http://127.0.0.1:9/a", {}, 5)


def test_what_the_errors_of_the_network_come_to():
    certificate = ssl.SSLCertVerificationError(1, "no")
    certificate.verify_message = "certificate has expired"
    told = judged(urllib.error.URLError(certificate))
    assert not isinstance(told, Broken)
    assert "certificate has expired" in told.reason
    assert isinstance(judged(urllib.error.URLError(TimeoutError())), Broken)
    assert isinstance(judged(http.client.RemoteDisconnected("gone")), Broken)
    assert isinstance(judged(http.client.BadStatusLine("\x1b[31m")), Broken)
    assert "\x1b" not in judged(http.client.BadStatusLine("\x1b[31m")).reason


def test_reasons_of_servers_are_safe_to_show():
    headers = email.message.Message()
    error = urllib.error.HTTPError("http://a", 404, "No\x1b[31m", headers, None)
    assert "\x1b" not in judged(error).reason
