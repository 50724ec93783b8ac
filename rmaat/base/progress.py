"""Progress of long functions: the type of their `progress` callback, and a bar for the terminal."""

import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Protocol, Self


class Progress(Protocol):
    """A callback that long functions call with the fraction of their work that is done."""

    def __call__(self, fraction: float, note: str = "", /) -> None:
        """`fraction` is between 0 and 1; `note` is a short text for the user."""


def ignore_progress(fraction: float, note: str = "") -> None:
    """Do nothing; the default value of `progress` parameters."""


def part_of(progress: Progress, index: int, count: int) -> Progress:
    """A callback for part `index` (from 0) of `count` equal parts; it reports the total to `progress`."""

    def report(fraction: float, note: str = "") -> None:  # noqa: ARG001
        # The note is dropped: a user's callback may accept the fraction only.
        progress((index + fraction) / count)

    return report


def is_first_process() -> bool:
    """Whether this process is rank 0 under torchrun, or runs without torchrun; only rank 0 reports."""
    return os.environ.get("RANK", "0") == "0"


_HIDDEN = ContextVar("hidden", default=False)


@contextmanager
def hidden_progress() -> Iterator[None]:
    """Show no `Bar` inside this block."""
    token = _HIDDEN.set(True)
    try:
        yield
    finally:
        _HIDDEN.reset(token)


class Bar:
    """Progress on standard error: a bar on a terminal, otherwise a line every ten seconds. Only rank 0 reports.

    with Bar("simulate") as progress:
        simulate(progress=progress)
    """

    def __init__(self, label: str):
        self._shown: _TerminalBar | _Lines | None = None
        if is_first_process() and not _HIDDEN.get():
            self._shown = _TerminalBar(label) if sys.stderr.isatty() else _Lines(label)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._shown.close()

    def __call__(self, fraction: float, note: str = "") -> None:
        """Show that `fraction` (0 to 1) is done."""
        if self._shown:
            self._shown.update(fraction, note)


class _TerminalBar:
    """A bar that is redrawn several times a second."""

    def __init__(self, label: str):
        from tqdm import tqdm  # here, because most importers of this module only need the type

        self._bar = tqdm(
            desc=f"{label:10}",
            total=1.0,
            mininterval=0.1,
            # Check the time at every update: tqdm would adapt to one long stride and skip later updates.
            miniters=0,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left{postfix}",
        )

    def update(self, fraction: float, note: str) -> None:
        if self._bar.n == 0 and fraction < 1:
            # Resumed work starts above 0; the part done earlier must not enter the estimate of the time left.
            self._bar.initial = self._bar.n = fraction
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(fraction - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class _Lines:
    """A line every `SECONDS` from the first report on, and one at the end, for files and pipes."""

    SECONDS = 10.0

    def __init__(self, label: str):
        self._label = label
        self._started = time.monotonic()
        self._printed = -math.inf
        self._first: tuple[float, float] | None = None
        self._last = ""

    def update(self, fraction: float, note: str) -> None:
        now = time.monotonic()
        # Resumed work starts above 0, as in `_TerminalBar`.
        self._first = self._first or (fraction, now)
        self._last = self._line(fraction, now, self._first, note)
        if now - self._printed >= self.SECONDS:
            self._print()

    def close(self) -> None:
        if self._last:
            self._print()

    def _print(self) -> None:
        print(self._last, file=sys.stderr, flush=True)
        self._printed, self._last = time.monotonic(), ""

    def _line(self, fraction: float, now: float, first: tuple[float, float], note: str) -> str:
        done = fraction - first[0]
        left = f", {_clock((now - first[1]) * (1 - fraction) / done)} left" if done > 0 and fraction < 1 else ""
        return f"{self._label} {fraction:.0%}, {_clock(now - self._started)}{left}{', ' if note else ''}{note}"


def _clock(seconds: float) -> str:
    """Such as 01:30, or 2:01:30 from one hour on."""
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute:02}:{second:02}"
