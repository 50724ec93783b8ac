"""What a training step costs: time, and peak memory above parameters, gradients and moments."""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.autograd.profiler import profile
from torch.nn import functional

from model.network import SegmentClassifier
from model.replay import Differentiation
from model.training import Batch, mixed_precision


@dataclass(frozen=True)
class StepCost:
    """One forward and backward pass."""

    seconds: float
    """median over the repetitions"""
    peak_bytes: int
    """largest sum of tensors alive at once, above what was there before"""


def compare_steps(
    model: SegmentClassifier,
    batch: Batch,
    ways: Mapping[str, Differentiation],
    precision: str = "float32",
    repeats: int = 5,
) -> dict[str, StepCost]:
    """Cost of one step of `model` on `batch` for each way, interleaved so that drift hits all alike."""
    model.train()

    def step(way: Differentiation) -> None:
        with mixed_precision(precision, batch.tokens.device):
            loss = functional.cross_entropy(model(batch.tokens, batch.lengths, way), batch.labels)
        loss.backward()

    steps = {name: partial(step, way) for name, way in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for run in steps.values():
        run()  # gradients exist and libraries are loaded from here on
    for _ in range(repeats):
        for name, run in steps.items():
            times[name].append(_timed(run, batch.tokens.device))
    costs = {
        name: StepCost(statistics.median(times[name]), peak_memory(run, batch.tokens.device))
        for name, run in steps.items()
    }
    model.zero_grad()
    return costs


def peak_memory(run: Callable[[], None], device: torch.device) -> int:
    """Largest number of tensor bytes that `run` holds at once, above what was allocated before.

    On CUDA the allocator's own count; on the CPU the running sum of the allocator's events, which is deterministic.
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
    # torch's stubs leave out `nbytes`.
    found: list[Any] = recorder.kineto_results.events()
    events = [event for event in found if event.name() == "[memory]"]
    total = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        total += event.nbytes()
        peak = max(peak, total)
    return peak


def _timed(run: Callable[[], None], device: torch.device) -> float:
    started = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


@contextmanager
def _no_standard_error() -> Iterator[None]:
    """The profiler's library writes two lines for each use, past Python's streams."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
