"""How long work takes. Needs nothing but Python."""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
Clock = Callable[[], float]


def timed(work: Callable[[], Result], clock: Clock = time.perf_counter) -> tuple[float, Result]:
    """Seconds that `work` takes, and what it returns; `clock` may wait for a device before it tells the time."""
    started = clock()
    result = work()
    return clock() - started, result


def seconds_of(work: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    """Seconds that `work` takes."""
    return timed(work, clock)[0]
