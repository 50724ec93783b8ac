"""Measure how long work takes, how much memory the process uses, and how time grows with size."""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

Result = TypeVar("Result")
Clock = Callable[[], float]


def timed(work: Callable[[], Result], clock: Clock = time.perf_counter) -> tuple[float, Result]:
    """Return the seconds that `work` takes, and its result.

    `clock` returns seconds. For a GPU, pass one that waits for the device first (`model.training.peak.now`).
    """
    started = clock()
    result = work()
    return clock() - started, result


def seconds_of(work: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    """Return the seconds that `work` takes, with `clock` as in `timed`."""
    return timed(work, clock)[0]


def growth_exponent(seconds: Mapping[int, float]) -> float:
    """Return the power of size with which `seconds` (size -> seconds) grow, by least squares of the logarithms.

    The result is NaN for a single size.
    """
    if len(seconds) < 2:
        return math.nan
    return float(np.polyfit(np.log(list(seconds)), np.log(list(seconds.values())), 1)[0])


def resident_bytes(field: str) -> int:
    """Return the resident memory of this process in bytes: `VmRSS` is the present value, `VmHWM` the highest one.

    The value comes from Linux's /proc.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))
