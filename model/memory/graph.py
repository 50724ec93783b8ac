"""Autograd graphs of single segments: run a segment with a graph, and back-propagate through it.

`Graph` is the graph of a whole segment, for `Amrb`. `LayerGraphs` recomputes a segment layer by layer, for
`LayerwiseAmrb`. Both offer `SegmentGraph`, which the backward pass in `model.memory.replay` uses.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from model.memory.autocast import AutocastState
from model.memory.checks import check_leaves, check_same
from model.memory.random_state import RandomState
from model.memory.recurrence import Stage, State

Gradients = Sequence[Tensor | None]
"""One gradient per tensor; None for a tensor that the loss does not reach."""


@dataclass(frozen=True)
class Leaves:
    """Aliases that the graph of every segment starts from, in addition to its own state.

    Backward adds up their gradients in `grad`. Autograd adds each part as soon as it has computed it, so the parts of a
    segment never exist all together.
    """

    shared: tuple[Tensor, ...]
    cell: Sequence[Tensor]
    factors: tuple[Tensor, ...] = ()
    """the retention factors that require a gradient"""

    @property
    def all(self) -> tuple[Tensor, ...]:
        """Shared tensors, followed by the tensors of the cell and the retention factors."""
        return (*self.shared, *self.cell, *self.factors)

    def of_segment(self, factor: Tensor) -> "Leaves":
        """The leaves of one segment, which has the retention `factor`.

        With the factors of all T segments, each of the T graphs would search T leaves.
        """
        return replace(self, factors=(factor,) if factor.requires_grad else ()) if self.factors else self

    def clear_gradients(self) -> None:
        """Drop the sums."""
        for leaf in self.all:
            leaf.grad = None


class SegmentGraph(Protocol):
    """A segment that has run and can be differentiated."""

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Summary and next memory."""
        ...

    def backward(self, gradients: Gradients, verify: bool) -> list[Tensor | None]:
        """Gradients of the state before the segment, from the `gradients` of its outputs.

        Adds to the gradients of the leaves. `verify` raises `ModelError` if the graph has other leaves.
        """
        ...


@dataclass(frozen=True)
class Graph:
    """The graph of a stage, or of a whole cell, from its state and its leaves to its outputs."""

    state: State
    leaves: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def backward(self, gradients: Gradients, verify: bool) -> list[Tensor | None]:
        """As `SegmentGraph.backward`, in one traversal of the graph."""
        known = [
            (output, gradient)
            for output, gradient in zip(self.outputs, gradients, strict=True)
            if gradient is not None and output.requires_grad
        ]
        wanted = list({id(leaf): leaf for leaf in (*self.state, *self.leaves) if leaf.requires_grad}.values())
        if not known:
            return [None] * len(self.state)
        outputs, output_gradients = zip(*known, strict=True)
        if verify:
            check_leaves(outputs, wanted)
        if wanted:
            torch.autograd.backward(outputs, output_gradients, inputs=wanted)
        # A tensor that is in the state twice returns its gradient once.
        first = {id(tensor): place for place, tensor in reversed(list(enumerate(self.state)))}
        return [tensor.grad if first[id(tensor)] == place else None for place, tensor in enumerate(self.state)]


def run_with_graph(stage: Stage, state: State, leaves: Leaves) -> Graph:
    """Run `stage` with a graph that starts at its state, the shared tensors and the parameters."""
    with torch.enable_grad():
        # One leaf for a tensor that is in the state twice. Two would add its gradients in another order than BPTT.
        starts = {id(tensor): tensor.detach().requires_grad_(tensor.is_floating_point()) for tensor in state}
        state = tuple(starts[id(tensor)] for tensor in state)
        outputs = stage(state, leaves.shared)
    return Graph(state, leaves.all, outputs)


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
    check: bool

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Summary and next memory."""
        return self.last.outputs

    def backward(self, gradients: Gradients, verify: bool) -> list[Tensor | None]:
        """As `SegmentGraph.backward`, one stage at a time: recompute it, back-propagate through it, free it."""
        gradients = self.last.backward(gradients, verify)
        following = self.last.state if self.check else ()
        while self.inputs:
            entry = self.inputs.pop()
            entry.random.restore()
            with self.autocast.restored():
                graph = run_with_graph(entry.stage, entry.state, self.leaves)
            if self.check:
                check_same(f"stage {len(self.inputs) + 1} of a segment", graph.outputs, following)
                following = entry.state
            # Otherwise the last stage's input and graph would exist beside the next one's.
            del entry
            gradients = graph.backward(gradients, verify)
            del graph
        return list(gradients)


def run_layers(
    stages: Sequence[Stage], memory: Tensor, leaves: Leaves, autocast: AutocastState, check: bool
) -> LayerGraphs:
    """Run all `stages` but the last without a graph, and the last one with a graph."""
    state, inputs = (memory,), []
    *earlier, final = stages
    with torch.no_grad():
        for stage in earlier:
            inputs.append(StageInput(stage, state, RandomState.current(memory.device)))
            state = stage(state, leaves.shared)
    return LayerGraphs(inputs, run_with_graph(final, state, leaves), leaves, autocast, check)
