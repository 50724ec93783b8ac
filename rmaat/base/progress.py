"""A progress bar with time left, for functions that take a `progress` callable."""

import os
import sys
from types import TracebackType
from typing import Self

from tqdm import tqdm


def is_first_process() -> bool:
    """Whether this process reports: of those that torchrun started, one does."""
    return os.environ.get("RANK", "0") == "0"


class Bar:
    """A bar on standard error, drawn anew several times a second, or every few seconds where that is no terminal.

    Of several processes that torchrun started, the first one draws.

    with Bar("simulate") as progress:
        simulate(progress=progress)
    """

    def __init__(self, label: str):
        on_terminal = sys.stderr.isatty()
        self._bar = tqdm(
            desc=f"{label:10}",
            total=1.0,
            disable=not is_first_process(),
            ascii=not on_terminal,
            ncols=None if on_terminal else 80,
            mininterval=0.1 if on_terminal else 5.0,
            # Otherwise tqdm learns from one long stride to wait for the next.
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
            # Resumed work: what was done before says nothing of the time left.
            self._bar.initial = self._bar.n = fraction
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(fraction - self._bar.n)
