"""One process at a time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from finetune.errors import RunError
from finetune.locking import locked

HOLD = """
import sys, time
from pathlib import Path
from finetune.locking import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_process_is_told_who_is_at_work(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with holder(lock) as process:
        with pytest.raises(RunError) as refused, locked(lock):
            pass
        assert f"process {process.pid} on {socket.gethostname()}" in refused.value.found
        assert "--out" in refused.value.mend
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert lock.exists()
        with locked(lock):
            assert f"process {os.getpid()}" in lock.read_text()
    assert not lock.exists()


def test_this_process_holds_it_once(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with locked(lock):
        with pytest.raises(RunError, match="this very process"), locked(lock):
            pass
        with pytest.raises(RunError, match="this very process"), locked(lock):
            pass
    with locked(lock):
        pass


def test_a_child_does_not_hold_what_its_parent_held(tmp_path: Path) -> None:
    """A loader's worker may outlive a killed training by seconds."""
    lock = tmp_path / ".lock"
    script = (
        "import os, sys, time\nfrom pathlib import Path\nfrom finetune.locking import locked\n"
        "with locked(Path(sys.argv[1])):\n"
        "    if os.fork() == 0:\n        time.sleep(60)\n        os._exit(0)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(lock)], start_new_session=True)
    try:
        process.wait()
        with locked(lock):
            pass
    finally:
        os.killpg(process.pid, signal.SIGKILL)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="can't be written to"), locked(tmp_path / "gone" / ".lock"):
        pass
