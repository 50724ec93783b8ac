"""Peak memory of a computation, and a clock that waits for the device. It needs only torch."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.autograd.profiler import profile


def peak_memory(run: Callable[[], None], device: torch.device) -> int:
    """Largest number of tensor bytes that `run` holds, minus those allocated before.

    On CUDA it is the allocator's count; on the CPU the running sum of the allocator's events, which is deterministic.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    recorder = profile(profile_memory=True)
    with _no_standard_error(), recorder:
        run()
    assert recorder.kineto_results is not None
    # The events with memory sizes have no public form; torch's stubs lack `nbytes`.
    found: list[Any] = recorder.kineto_results.events()
    events = [event for event in found if event.name() == "[memory]"]
    total = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        total += event.nbytes()
        peak = max(peak, total)
    return peak


def now(device: torch.device) -> float:
    """Time in s, after `device` has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def _no_standard_error() -> Iterator[None]:
    """Discard what C code writes to standard error: the profiler's library prints two lines per use."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
