"""The command line: arguments in, API calls, and what is printed."""

from __future__ import annotations

import errno
import os
import sys


def main() -> None:
    """The command ``finetune``.

    Exit status: 0 done, 1 a bug of ours, 2 something that the user can mend, 130 Ctrl-C,
    143 SIGTERM.
    """
    from finetune.errors import FinetuneError

    # Before torch is loaded: threads that spin while they wait take the cores from those that work;
    # on two cores with a busy neighbour a small network trained 3.7 times faster without.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        from finetune.cli.app import app

        app(prog_name="finetune")
    except FinetuneError as error:
        _tell(str(error))
        sys.exit(2)
    except OSError as error:
        if error.errno not in _ENVIRONMENT:
            raise
        place = f"{error.filename}: " if error.filename else ""
        _tell(f"{place}{error.strerror}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


# What the machine refuses, not what we got wrong.
_ENVIRONMENT = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG),
    *(errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO),
)


def _tell(message: str) -> None:
    from rich.console import Console
    from rich.text import Text

    from finetune.text import printable

    head, *rest = (printable(line) for line in message.split("\n"))
    text = Text.assemble(("error: ", "bold red"), "\n".join([head, *rest]))
    Console(stderr=True, highlight=False).print(text, soft_wrap=True)
