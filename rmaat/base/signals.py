"""Ctrl-C and SIGTERM for work that must finish a step, or end its worker processes, before it stops.

Python delivers signals to the main thread only. In any other thread these context managers change nothing.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C sends the first; `timeout`, schedulers and service managers send the second."""

Handler = Callable[[int, FrameType | None], Any] | int | None


@contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether Ctrl-C or SIGTERM has arrived; the caller finishes its step first.

    A second signal raises KeyboardInterrupt immediately. Only default handlers are replaced.
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
    """Raise KeyboardInterrupt on SIGTERM too, so that the cleanup for Ctrl-C also runs then."""
    with _handled([signal.SIGTERM], signal.default_int_handler):
        yield


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Ignore Ctrl-C; processes that are started inside inherit this.

    A terminal sends Ctrl-C to all processes of a group. Here only the parent reacts, and it ends the others.
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
