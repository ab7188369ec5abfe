"""Asking a web server for a file: over http and https and nothing else, wherever it sends us."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from finetune.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
SCHEMES = ("http", "https")

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that another try may change."""

_AGENT = {"User-Agent": "finetune-vision", "Accept-Encoding": "identity"}


class Refused(Exception):
    """The server will not give the file, however often it is asked.

    Args:
        reason: Why, as the end of a sentence; safe to show.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Broken(Refused):
    """It did not work this time.

    Args:
        reason: Why.
        wait: Seconds that the server asks us to wait; 0 where it doesn't say.
    """

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class RangeRefused(Broken):
    """The server has not got the part of the file that was asked for."""


def is_address(text: str) -> bool:
    """Whether it is an address of the kinds that are asked."""
    parts = urlsplit(text)
    return parts.scheme in SCHEMES and bool(parts.netloc)


def ask(address: str, headers: Mapping[str, str], silence: float) -> http.client.HTTPResponse:
    """The answer of a server, whose body is yet to be read; proxies are those of the environment.

    Args:
        address: http or https.
        headers: What else to say, such as ``Range``.
        silence: Seconds without a byte after which the server counts as gone.

    Raises:
        Refused: It has no such file, wants a login, or sends us where we don't go.
        Broken: There is no answer, or one that another try may change.
    """
    try:
        answer = _opener().open(
            urllib.request.Request(address, headers={**_AGENT, **headers}), timeout=silence
        )
    except (OSError, http.client.HTTPException) as error:
        raise judged(error) from error
    if answer.headers.get_content_type() == "text/html":
        answer.close()
        raise Refused("sends a web page instead of the file")
    return answer  # type: ignore[no-any-return]


def judged(error: OSError | http.client.HTTPException) -> Refused:
    """What an error of the network comes to."""
    if isinstance(error, urllib.error.HTTPError):
        return _answered(error)
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Refused(f"has a certificate that can't be verified: {reason.verify_message}")
    if isinstance(reason, TimeoutError):
        return Broken("does not answer")
    if isinstance(reason, OSError):
        return Broken(f"can't be reached: {printable(reason.strerror or str(reason))}")
    return Broken(f"broke off: {printable(str(reason) or type(reason).__name__)}")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https, and never from https down to http."""

    max_redirections = 8

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise Refused(f"sends us from https down to {printable(newurl)}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Only what http and https want: no files, no FTP, no passwords, no cookies."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def _answered(error: urllib.error.HTTPError) -> Refused:
    error.close()
    if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return RangeRefused("has not got the rest of the file")
    if 300 <= error.code < 400:
        return Refused(f"sends us in a circle, or where we don't go ({error.code})")
    said = f"answers {error.code} ({printable(error.reason or 'without a reason')})"
    if error.code in _PASSING:
        return Broken(said, _seconds(error.headers.get("Retry-After", "")))
    return Refused(said)


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() else 0.0
