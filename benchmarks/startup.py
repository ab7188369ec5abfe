"""Start-up times: `import finetune` and `finetune --help`, each in fresh processes.

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 9
IMPORT = (
    "import time; t = time.perf_counter(); import finetune; "
    "print(time.perf_counter() - t); import sys; assert 'torch' not in sys.modules"
)


def import_seconds() -> float:
    command = [sys.executable, "-c", IMPORT]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def help_seconds() -> float:
    started = time.perf_counter()
    command = [sys.executable, "-m", "finetune", "--help"]
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - started


def main() -> None:
    print("| what | median of 9 | limit |\n|---|---|---|")
    for name, measure, limit in [
        ("`import finetune`", import_seconds, 0.2),
        ("`finetune --help`, the whole process", help_seconds, 0.6),
    ]:
        measure()
        median = statistics.median(measure() for _ in range(RUNS))
        print(f"| {name} | {median:.3f} s | {limit} s |")


if __name__ == "__main__":
    main()
