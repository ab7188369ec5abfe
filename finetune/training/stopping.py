"""Ctrl-C and SIGTERM in a phase: taken at the next optimiser step, so that no step is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM came, and not Ctrl-C."""


class Interrupted(BaseException):
    """A signal, on its way out of Lightning, which answers a KeyboardInterrupt by ending all.

    Attributes:
        between_steps: Whether it was taken where the weights and the phase's place agree.
    """

    def __init__(self, *, between_steps: bool) -> None:
        super().__init__(between_steps)
        self.between_steps = between_steps


class Stopping:
    """Whether somebody wants the phase to stop. A second signal is not kept waiting."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._at_once = False

    def take(self) -> None:
        """Stop here, between two steps, if that was asked for.

        Raises:
            Interrupted: It was.
        """
        if self.number is not None:
            raise Interrupted(between_steps=True)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """A while in which no step is under way, so that nothing has to be waited for."""
        self.take()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def listen(self) -> None:
        """Hear signals from now on, in the main thread; elsewhere none ever comes."""
        if threading.current_thread() is threading.main_thread():
            for number in _NUMBERS:
                signal.signal(number, self._hear)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        waited_for = self.number
        self.number = number
        if self._at_once or waited_for is not None:
            raise Interrupted(between_steps=self._at_once)


@contextmanager
def listening() -> Iterator[Stopping]:
    """Hear signals for a while.

    Raises:
        KeyboardInterrupt: The user stopped the phase; `Terminated` where it was SIGTERM.
    """
    stopping = Stopping()
    previous = {number: signal.getsignal(number) for number in _NUMBERS}
    stopping.listen()
    try:
        yield stopping
        stopping.take()
    except Interrupted:
        raise _told(stopping) from None
    finally:
        _restore(previous)


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _told(stopping: Stopping) -> KeyboardInterrupt:
    return Terminated() if stopping.number == signal.SIGTERM else KeyboardInterrupt()
