from __future__ import annotations

import gc
import platform
import subprocess
import sys

import pytest

from finetune.memory import without_collecting

SCRIPT = """
import resource
from finetune.memory import keep_freed_memory
{call}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
b'x' * 64_000_000
before = faults()
for _ in range(20):
    b'x' * 64_000_000
print(faults() - before)
"""


def page_faults(call: str) -> int:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(call=call)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(result.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_what_was_freed_is_used_again_without_asking_the_system() -> None:
    assert 3 * page_faults("keep_freed_memory()") < page_faults("")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_once_memory_is_short_nothing_is_kept_any_more() -> None:
    both = "keep_freed_memory(); from finetune.memory import give_back_freed_memory as give; give()"
    assert page_faults(both) > 0.9 * page_faults("")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_what_is_kept_can_be_given_back() -> None:
    script = """
from pathlib import Path
from finetune.memory import give_back_freed_memory, keep_freed_memory
def pages():
    return int(Path("/proc/self/statm").read_text().split()[1])
keep_freed_memory()
b'x' * 400_000_000
kept = pages()
give_back_freed_memory()
print(kept - pages())
"""
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(result.stdout) * 4096 > 300_000_000


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    from finetune.memory import give_back_freed_memory, keep_freed_memory

    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))
    monkeypatch.setattr("ctypes.CDLL", None)  # would fail if it were called
    keep_freed_memory()
    give_back_freed_memory()


def test_the_collector_rests_and_is_as_it_was() -> None:
    with without_collecting():
        assert not gc.isenabled()
        with without_collecting():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyError), without_collecting():
        raise KeyError
    assert gc.isenabled()
