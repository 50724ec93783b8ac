"""Segments that have run with a graph and can be differentiated."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from model.memory.autocast import Autocast
from model.memory.random_state import RandomState
from model.memory.recurrence import Stage, State


@dataclass(frozen=True)
class Leaves:
    """What every segment's graph starts from, its state apart."""

    shared: Sequence[Tensor]
    parameters: Sequence[Tensor]


class Step(Protocol):
    """One segment that has run and can be differentiated."""

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Summary and memory."""
        ...

    def pull_back(self, gradients: Sequence[Tensor | None], totals: "Totals") -> list[Tensor | None]:
        """The gradient of what entered, from those of the outputs; those of shared tensors and parameters are added."""
        ...


class Totals:
    """Sums of the gradients of shared tensors and parameters.

    A part is added in the middle of the traversal that makes it, so that a segment's parts are not all held at once.
    """

    def __init__(self, count: int):
        self.sums: list[Tensor | None] = [None] * count

    @contextmanager
    def taking(self, leaves: Sequence[Tensor]) -> Iterator[None]:
        """Inside, gradients of `leaves` are added here and nowhere else: those that autograd returns are zeros."""
        handles = [
            leaf.register_hook(partial(self._take, place)) for place, leaf in enumerate(leaves) if leaf.requires_grad
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _take(self, place: int, part: Tensor) -> Tensor:
        total = self.sums[place]
        # Not in place: the first part may be a tensor that others hold, too.
        self.sums[place] = part if total is None else total + part
        return part.new_zeros(()).expand(part.shape)


@dataclass(frozen=True)
class Graph:
    """A graph: what it starts from (its state; shared tensors and parameters) and what it gave."""

    state: State
    leaves: list[Tensor]
    outputs: tuple[Tensor, ...]

    def pull_back(self, gradients: Sequence[Tensor | None], totals: Totals) -> list[Tensor | None]:
        """The gradients of the state, in one traversal."""
        known = [
            (output, gradient)
            for output, gradient in zip(self.outputs, gradients, strict=True)
            if gradient is not None and output.requires_grad
        ]
        entered = [*self.state, *self.leaves]
        wanted = [leaf for leaf in entered if leaf.requires_grad]
        if not known or not wanted:
            return [None] * len(self.state)
        outputs, cotangents = zip(*known, strict=True)
        with totals.taking(self.leaves):
            found = iter(torch.autograd.grad(outputs, wanted, cotangents, allow_unused=True))
        return [next(found) if tensor.requires_grad else None for tensor in self.state]


def run_with_graph(stage: Stage, state: State, leaves: Leaves) -> Graph:
    """Run `stage` with a graph that starts at its state, the shared tensors and the parameters."""
    with torch.enable_grad():
        state = tuple(tensor.detach().requires_grad_(tensor.is_floating_point()) for tensor in state)
        shared = tuple(tensor.detach().requires_grad_(tensor.requires_grad) for tensor in leaves.shared)
        outputs = stage(state, shared)
    return Graph(state, [*shared, *leaves.parameters], outputs)


@dataclass(frozen=True)
class _Entry:
    """A stage with what enters it."""

    stage: Stage
    state: State
    random: "RandomState"


@dataclass(frozen=True)
class LayerGraphs:
    """What enters each layer, and the graph of the last, which is needed first."""

    entries: list[_Entry]
    last: Graph
    leaves: Leaves
    surroundings: "Autocast"

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Summary and memory."""
        return self.last.outputs

    def pull_back(self, gradients: Sequence[Tensor | None], totals: Totals) -> list[Tensor | None]:
        """The gradient of the memory, one layer's graph after the other."""
        gradients = self.last.pull_back(gradients, totals)
        while self.entries:
            entry = self.entries.pop()
            entry.random.restore()
            with self.surroundings.again():
                graph = run_with_graph(entry.stage, entry.state, self.leaves)
            del entry
            gradients = graph.pull_back(gradients, totals)
            del graph
        return list(gradients)


def run_layers(stages: Sequence[Stage], memory: Tensor, leaves: Leaves, surroundings: "Autocast") -> LayerGraphs:
    """Run `stages` without a graph, the last one with."""
    state, entries = (memory,), []
    *earlier, final = stages
    with torch.no_grad():
        for stage in earlier:
            entries.append(_Entry(stage, state, RandomState.now(memory.device)))
            state = stage(state, tuple(leaves.shared))
    return LayerGraphs(entries, run_with_graph(final, state, leaves), leaves, surroundings)
