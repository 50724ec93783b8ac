"""Ctrl-C and SIGTERM for work that must end a step, or its worker processes, before it stops.

Python delivers signals to the main thread only. In any other thread these context managers change nothing.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C sends the first; `timeout`, schedulers and service managers send the second"""

Handler = Callable[[int, FrameType | None], Any] | int | None


@contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether Ctrl-C or SIGTERM arrived, so that the current step can end first.

    A second Ctrl-C raises KeyboardInterrupt at once. Handlers that somebody else installed stay.
    """
    arrived: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        arrived.append(number)
        signal.signal(number, signal.default_int_handler)

    default = (signal.SIG_DFL, signal.default_int_handler)
    with _handled([number for number in STOP_SIGNALS if signal.getsignal(number) in default], note):
        yield lambda: bool(arrived)


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM too, so that cleaning up after Ctrl-C also covers it."""
    with _handled([signal.SIGTERM], signal.default_int_handler):
        yield


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Ignore Ctrl-C; processes started inside inherit this.

    A terminal sends Ctrl-C to every process of a group. With this, only the parent reacts, and it ends the others.
    """
    with _handled([signal.SIGINT], signal.SIG_IGN):
        yield


@contextmanager
def _handled(numbers: Sequence[int], handler: Handler) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, before in earlier.items():
            signal.signal(number, before)
