"""Autograd graphs of single segments: run a segment with a graph, and back-propagate through it.

`Graph` is the graph of a whole segment, for `Amrb`. `LayerGraphs` recomputes a segment layer by layer, for
`LayerwiseAmrb`. Both offer `SegmentGraph`, which the backward pass in `model.memory.replay` uses.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from model.memory.autocast import AutocastState
from model.memory.random_state import RandomState
from model.memory.recurrence import Stage, State

Gradients = Sequence[Tensor | None]
"""One gradient per tensor; None for a tensor that the loss does not reach."""


@dataclass(frozen=True)
class Leaves:
    """Tensors that the graph of every segment starts from, in addition to its own state."""

    shared: Sequence[Tensor]
    parameters: Sequence[Tensor]


class GradientSums:
    """Sums over segments of the gradients of shared tensors and parameters.

    Each part is added as soon as autograd has computed it, so that the parts of a segment never exist all together.
    """

    def __init__(self, count: int):
        self.sums: list[Tensor | None] = [None] * count

    @contextmanager
    def collecting(self, leaves: Sequence[Tensor]) -> Iterator[None]:
        """A context that adds gradients of `leaves` to the sums; `torch.autograd.grad` then returns zeros for them."""
        handles = [
            leaf.register_hook(partial(self._add, index)) for index, leaf in enumerate(leaves) if leaf.requires_grad
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _add(self, index: int, part: Tensor) -> Tensor:
        total = self.sums[index]
        # Not in place: autograd may use the tensor of the first part elsewhere.
        self.sums[index] = part if total is None else total + part
        # Zeros of one number's size, so that autograd does not keep the part.
        return part.new_zeros(()).expand(part.shape)


class SegmentGraph(Protocol):
    """A segment that has run and can be differentiated."""

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Summary and next memory."""
        ...

    def backward(self, gradients: Gradients, sums: GradientSums) -> list[Tensor | None]:
        """Gradients of the state before the segment, from the `gradients` of its outputs.

        Gradients of shared tensors and parameters are added to `sums`.
        """
        ...


@dataclass(frozen=True)
class Graph:
    """The graph of a stage, or of a whole cell, from its state and its leaves to its outputs."""

    state: State
    leaves: list[Tensor]
    outputs: tuple[Tensor, ...]

    def backward(self, gradients: Gradients, sums: GradientSums) -> list[Tensor | None]:
        """As `SegmentGraph.backward`, in one traversal of the graph."""
        known = [
            (output, gradient)
            for output, gradient in zip(self.outputs, gradients, strict=True)
            if gradient is not None and output.requires_grad
        ]
        wanted = [leaf for leaf in (*self.state, *self.leaves) if leaf.requires_grad]
        if not known or not wanted:
            return [None] * len(self.state)
        outputs, output_gradients = zip(*known, strict=True)
        with sums.collecting(self.leaves):
            found = iter(torch.autograd.grad(outputs, wanted, output_gradients, allow_unused=True))
        return [next(found) if tensor.requires_grad else None for tensor in self.state]


def run_with_graph(stage: Stage, state: State, leaves: Leaves) -> Graph:
    """Run `stage` with a graph that starts at its state, the shared tensors and the parameters."""
    with torch.enable_grad():
        state = tuple(tensor.detach().requires_grad_(tensor.is_floating_point()) for tensor in state)
        shared = tuple(tensor.detach().requires_grad_(tensor.requires_grad) for tensor in leaves.shared)
        outputs = stage(state, shared)
    return Graph(state, [*shared, *leaves.parameters], outputs)


@dataclass(frozen=True)
class StageInput:
    """A stage, the state before it and the random state before it."""

    stage: Stage
    state: State
    random: RandomState


@dataclass(frozen=True)
class LayerGraphs:
    """A segment stored as the inputs of its stages, and the graph of the last stage, which backward needs first."""

    inputs: list[StageInput]
    last: Graph
    leaves: Leaves
    autocast: AutocastState

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Summary and next memory."""
        return self.last.outputs

    def backward(self, gradients: Gradients, sums: GradientSums) -> list[Tensor | None]:
        """As `SegmentGraph.backward`, one stage at a time: recompute it, back-propagate through it, free it."""
        gradients = self.last.backward(gradients, sums)
        while self.inputs:
            entry = self.inputs.pop()
            entry.random.restore()
            with self.autocast.restored():
                graph = run_with_graph(entry.stage, entry.state, self.leaves)
            # Otherwise the last stage's input and graph would exist beside the next one's.
            del entry
            gradients = graph.backward(gradients, sums)
            del graph
        return list(gradients)


def run_layers(stages: Sequence[Stage], memory: Tensor, leaves: Leaves, autocast: AutocastState) -> LayerGraphs:
    """Run all `stages` but the last without a graph, and the last one with a graph."""
    state, inputs = (memory,), []
    *earlier, final = stages
    with torch.no_grad():
        for stage in earlier:
            inputs.append(StageInput(stage, state, RandomState.current(memory.device)))
            state = stage(state, tuple(leaves.shared))
    return LayerGraphs(inputs, run_with_graph(final, state, leaves), leaves, autocast)
