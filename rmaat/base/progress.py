"""Progress of long functions: the type of their `progress` callback, and a bar for the terminal."""

import os
import sys
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


class Bar:
    """A progress bar on standard error.

    On a terminal it is redrawn several times a second, otherwise every five seconds. Only rank 0 draws.

    with Bar("simulate") as progress:
        simulate(progress=progress)
    """

    def __init__(self, label: str):
        from tqdm import tqdm  # here, because most importers of this module only need the type

        on_terminal = sys.stderr.isatty()
        self._bar = tqdm(
            desc=f"{label:10}",
            total=1.0,
            disable=not is_first_process(),
            ascii=not on_terminal,
            ncols=None if on_terminal else 80,
            mininterval=0.1 if on_terminal else 5.0,
            # Check the time at every update: tqdm would adapt to one long stride and skip later updates.
            miniters=0,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left{postfix}",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def __call__(self, fraction: float, note: str = "") -> None:
        """Show that `fraction` (0 to 1) is done."""
        if self._bar.n == 0 and fraction < 1:
            # Resumed work starts above 0; the part done earlier must not enter the estimate of the time left.
            self._bar.initial = self._bar.n = fraction
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(fraction - self._bar.n)
