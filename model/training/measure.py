"""Measured cost of a training step: time, and peak memory in addition to parameters, gradients and moments."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from torch.nn import functional

from model.memory.differentiation import Differentiation
from model.networks.classifier import SegmentClassifier
from model.training.device import Batch, mixed_precision
from model.training.peak import now, peak_memory


@dataclass(frozen=True)
class StepCost:
    """Cost of one forward and backward pass."""

    seconds: float
    """median over the repetitions"""
    least_seconds: float
    """minimum over the repetitions, which other load on the machine disturbed least"""
    peak_bytes: int
    """largest sum of tensors alive together, minus those alive before the step"""


def compare_steps(
    model: SegmentClassifier,
    batch: Batch,
    methods: Mapping[str, Differentiation],
    precision: str = "float32",
    repeats: int = 5,
) -> dict[str, StepCost]:
    """Cost of one step of `model` on `batch` for each method in `methods`, interleaved so that drift affects all."""
    model.train()
    steps = {name: partial(_step, model, batch, precision, method) for name, method in methods.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for run in steps.values():
        run()  # warm up: allocate gradients and load libraries
    for _ in range(repeats):
        for name, run in steps.items():
            started = now(batch.tokens.device)
            run()
            times[name].append(now(batch.tokens.device) - started)
    costs = {
        name: StepCost(statistics.median(times[name]), min(times[name]), peak_memory(run, batch.tokens.device))
        for name, run in steps.items()
    }
    model.zero_grad()
    return costs


def _step(model: SegmentClassifier, batch: Batch, precision: str, method: Differentiation) -> None:
    with mixed_precision(precision, batch.tokens.device):
        loss = functional.cross_entropy(model(batch.tokens, batch.lengths, method), batch.labels)
    loss.backward()
