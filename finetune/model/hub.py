"""Weights from the model hub: from the local cache, or downloaded, or a clear word why not.

`huggingface_hub` does the work, so ``HF_HOME``, ``HF_HUB_OFFLINE``, ``HF_ENDPOINT`` and proxies
count as everywhere. What this module adds is that nobody waits: before anything is downloaded, one
small request must be answered within `ANSWER_WITHIN` seconds, whatever keeps it.
"""

from __future__ import annotations

import hashlib
import queue
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from finetune.errors import HubUnreachable, WeightsError

ANSWER_WITHIN = 4.0  # seconds; a command tells within five of its first request

_ERRNO = re.compile(r"\[Errno -?\d+\] ")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class HubSource:
    """A file on the model hub.

    Attributes:
        repo: ``owner/name``.
        revision: Branch, tag or commit.
        filenames: What the file may be called, the best first.
    """

    repo: str
    revision: str = "main"
    filenames: tuple[str, ...] = ("model.safetensors", "pytorch_model.bin")


def fetch(source: HubSource) -> Path:
    """The file of ``source`` on this machine, downloaded if the cache doesn't hold it.

    Raises:
        HubUnreachable: It isn't cached, and the hub doesn't answer in time, stops answering, or
            may not be asked.
        WeightsError: The hub answers that there is no such file, or what came is damaged.
    """
    path = cached(source)
    if path is None:
        try:
            path = _download(source, locate(source))
        except HubUnreachable as error:
            raise HubUnreachable(
                f"{error.found}; the weights {source.repo} are not in the local cache",
                mend=error.mend,
            ) from error
    _check_digest(path)
    return path


def endpoint() -> str:
    """Address of the model hub, or of the mirror that ``HF_ENDPOINT`` names."""
    return str(constants.ENDPOINT)


def probe() -> None:
    """Ask the hub for the default weights, and download nothing.

    Raises:
        HubUnreachable: No usable answer within `ANSWER_WITHIN` seconds.
        WeightsError: It answers that it doesn't have them.
    """
    locate(HubSource("timm/resnet50.tv_in1k"))


def cached(source: HubSource) -> Path | None:
    """The file in the local cache, or None; asks no network."""
    for name in source.filenames:
        found = try_to_load_from_cache(source.repo, name, revision=source.revision)
        if isinstance(found, str):
            return Path(found)
    return None


def locate(source: HubSource) -> str:
    """What the file is called on the hub, found out within `ANSWER_WITHIN` seconds.

    Raises:
        HubUnreachable: No usable answer in time.
        WeightsError: The hub has no such repository or file, or doesn't give it to everyone.
    """
    if constants.HF_HUB_OFFLINE:
        raise _unreachable("HF_HUB_OFFLINE forbids asking the model hub")
    try:
        return _within(ANSWER_WITHIN, lambda: _ask(source))
    except TimeoutError:
        what = f"the model hub ({endpoint()}) did not answer in {ANSWER_WITHIN:g} seconds"
        raise _unreachable(what) from None


def _ask(source: HubSource) -> str:
    for name in source.filenames:
        url = hf_hub_url(source.repo, name, revision=source.revision)
        try:
            answer = get_hf_file_metadata(url, timeout=ANSWER_WITHIN)
        except Exception as error:
            if _is_missing_entry(error):
                continue
            raise _translated(source, error) from error
        if answer.commit_hash is None:
            raise _unreachable(f"{endpoint()} answers, but is no model hub")
        return name
    raise WeightsError(
        f"the model hub holds none of {', '.join(source.filenames)} in {source.repo}",
        mend="Choose other weights with --set model.backbone=NAME.TAG, or give --weights FILE.",
    )


def _is_missing_entry(error: Exception) -> bool:
    return isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError)


def _translated(source: HubSource, error: Exception) -> WeightsError:
    """The user's error for one of the hub library's."""
    if isinstance(error, WeightsError):
        return error
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, GatedRepoError):
        return WeightsError(
            f"{source.repo} is given only to those who accept its terms on the model hub",
            mend="Accept them there and set HF_TOKEN, or give --weights FILE.",
        )
    if isinstance(error, RepositoryNotFoundError | RevisionNotFoundError) or status == 404:
        return WeightsError(
            f"the model hub ({endpoint()}) has no {source.repo} at {source.revision}",
            mend="Choose other weights with --set model.backbone=NAME.TAG, or give --weights FILE.",
        )
    if isinstance(error, HfHubHTTPError):
        return _unreachable(f"the model hub ({endpoint()}) answers {status}")
    reason = str(error).strip().splitlines() or [type(error).__name__]
    plain = _ERRNO.sub("", reason[0])[:200]
    return _unreachable(f"the model hub ({endpoint()}) can't be reached: {plain}")


def _unreachable(what: str) -> HubUnreachable:
    return HubUnreachable(
        what,
        mend="Ways on: --weights FILE, with a file that you have; --weights none, or --recipe "
        "from_scratch, to start from random weights; HF_ENDPOINT=URL for a mirror of the hub; or "
        f"copy the cache ({constants.HF_HUB_CACHE}) from a machine that has them.",
    )


def _download(source: HubSource, name: str) -> Path:
    try:
        path = hf_hub_download(
            source.repo, name, revision=source.revision, etag_timeout=ANSWER_WITHIN
        )
    except OSError as error:
        if error.errno is None or isinstance(error, ConnectionError | LocalEntryNotFoundError):
            raise _broken_off(error) from error
        raise WeightsError(
            f"{source.repo} can't be stored: {error.strerror}",
            where=constants.HF_HUB_CACHE,
            mend="Make room there, or name another place with HF_HOME.",
        ) from error
    except Exception as error:
        raise _broken_off(error) from error
    return Path(path)


def _broken_off(error: Exception) -> WeightsError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return _unreachable(f"the download from {endpoint()} broke off ({reason})")


def _check_digest(path: Path) -> None:
    """See that a cached file is what the hub named it: large files are called by their SHA-256."""
    stored = path.resolve()
    if not _SHA256.fullmatch(stored.name):
        return
    with stored.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != stored.name:
            raise WeightsError(
                "this file of the cache is damaged: its SHA-256 is not the one the hub gave",
                where=str(stored),
                mend="Remove it and try again.",
            )


def _within(seconds: float, work: Callable[[], _Result]) -> _Result:
    """What ``work`` gives, or its error; TimeoutError if that takes longer than ``seconds``.

    A timeout of the HTTP library bounds each wait of a request, but neither looking up a name nor
    the sum of all waits; so the request runs in a thread that nobody waits for.
    """
    results: queue.Queue[tuple[_Result | None, BaseException | None]] = queue.Queue()

    def run() -> None:
        try:
            results.put((work(), None))
        except BaseException as error:
            results.put((None, error))

    threading.Thread(target=run, daemon=True, name="hub-probe").start()
    try:
        result, error = results.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]
