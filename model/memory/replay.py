"""Memory replay: the gradient of all segments from the memory of one. Class `MemoryReplay` has both passes.

AMRB (Astrocytic Memory Replay Backpropagation; RMAAT, arXiv 2601.00426) for T segments:

    forward    run all segments without a graph; keep memory_1 .. memory_T and the random states
    backward   for t = T .. 1: recompute segment t from memory_t with a graph, and back-propagate the gradients of its
               summary and of memory_{t+1} through it in one traversal; this gives the gradient of memory_t

This is Memformer's memory replay (arXiv 2010.06891) with the retention factor. It equals gradient checkpointing at
segment boundaries: the gradient is exact. It has the same bits as backpropagation through time if a cell uses each
parameter once per segment; otherwise sums have another order, and gradients agree to rounding.

Two corrections of the paper's listing. It back-propagates from the memory before its retention factor; here the factor
is part of the graph. It traverses each graph twice, but the first traversal frees the graph; here there is one.

The last `keep` segments keep the graph of the forward pass, because backward needs them first.
`model.memory.differentiation` lists all methods and their costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from model.memory.autocast import AutocastState
from model.memory.budget import measure_first_graph
from model.memory.differentiation import Amrb, LayerwiseAmrb, MemoryBudget, Truncated
from model.memory.graph import GradientSums, Leaves, SegmentGraph, run_layers, run_with_graph
from model.memory.packed import PackedTensors
from model.memory.random_state import RandomState, RandomStates
from model.memory.recurrence import LayeredCell, Segment, Shared


@dataclass(frozen=True)
class Recurrence:
    """A cell, its inputs without gradient, and the method to differentiate it.

    Methods take the tensors with gradient: `tensors` are the shared tensors, followed by the cell's parameters.
    """

    cell: nn.Module
    segments: Sequence[Segment]
    retention: Sequence[Tensor] | Tensor
    method: Amrb | LayerwiseAmrb | MemoryBudget | Truncated
    shared_count: int

    def run(self, index: int, memory: Tensor, shared: Shared) -> tuple[Tensor, Tensor]:
        """Summary and next memory of segment `index`."""
        return self.cell(self.segments[index], memory, self.retention[index], shared)

    def run_with_graph(
        self, index: int, memory: Tensor, tensors: Sequence[Tensor], autocast: AutocastState
    ) -> SegmentGraph:
        """Run segment `index` so that it can be differentiated."""
        leaves = Leaves(tensors[: self.shared_count], tensors[self.shared_count :])
        if isinstance(self.method, LayerwiseAmrb):
            assert isinstance(self.cell, LayeredCell)
            return run_layers(self.cell.stages(self.segments[index], self.retention[index]), memory, leaves, autocast)
        return run_with_graph(lambda state, shared: self.run(index, state[0], shared), (memory,), leaves)

    def first_graph_and_keep(
        self, memory: Tensor, tensors: Sequence[Tensor], autocast: AutocastState
    ) -> tuple[SegmentGraph | None, int]:
        """The number of graphs to keep; with the first segment's graph if a memory budget measured and keeps it."""
        if isinstance(self.method, MemoryBudget):
            return measure_first_graph(
                self.method,
                lambda: self.run_with_graph(0, memory, tensors, autocast),
                memory,
                tensors,
                len(self.segments),
            )
        return None, self.method.keep

    def cuts_gradient_before(self, index: int) -> bool:
        """Whether truncation stops the gradient at the memory before segment `index`."""
        return (
            isinstance(self.method, Truncated)
            and index > 0
            and (len(self.segments) - index) % self.method.segments == 0
        )


class MemoryReplay(torch.autograd.Function):
    """The whole scan as one autograd node, so that any loss and DDP's hooks see a single ordinary operation."""

    @staticmethod
    def forward(ctx: Any, recurrence: Recurrence, memory: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run every segment; keep the memories, the random states and the graphs of the last segments.

        Returns the summaries and the last memory.
        """
        ctx.recurrence = recurrence
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        ctx.autocast = AutocastState.current(memory.device.type)
        count = len(recurrence.segments)
        ctx.memories, ctx.random, ctx.graphs = PackedTensors(count), RandomStates(memory.device, count), {}
        summaries = []
        with ctx.autocast.restored():
            first, keep = recurrence.first_graph_and_keep(memory, tensors, ctx.autocast)
            for index in range(count):
                ctx.memories.append(memory)
                ctx.random.append_current()
                if index >= count - keep:
                    graph = first or recurrence.run_with_graph(index, memory, tensors, ctx.autocast)
                    first, ctx.graphs[index] = None, graph
                    summary, memory = (output.detach() for output in graph.outputs)
                else:
                    summary, memory = recurrence.run(index, memory, tensors[: recurrence.shared_count])
                summaries.append(summary)
        return (*summaries, memory)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] (the decorator hides the names)
        ctx: Any, *gradients: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Replay the segments from the last to the first, and add up the gradients of parameters and shared tensors."""
        recurrence: Recurrence = ctx.recurrence
        tensors = ctx.saved_tensors
        *summary_gradients, memory_gradient = gradients
        sums = GradientSums(len(tensors))
        random_before = RandomState.current(ctx.random.device)
        # Autograd adds the segments in this order under BPTT; any other order would change the bits.
        for index in reversed(range(len(recurrence.segments))):
            graph = ctx.graphs.pop(index, None)
            known = (summary_gradients[index], memory_gradient)
            if all(gradient is None for gradient in known):
                continue
            if graph is None:
                ctx.random[index].restore()
                with ctx.autocast.restored():
                    graph = recurrence.run_with_graph(index, ctx.memories[index], tensors, ctx.autocast)
            (memory_gradient,) = graph.backward(known, sums)
            # Free this graph before the next segment runs.
            del graph
            if recurrence.cuts_gradient_before(index):
                memory_gradient = None
        random_before.restore()
        return (None, memory_gradient, *sums.sums)
