"""Memory replay: the gradient of all segments from the memory of one. `Recording` has both passes.

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
`model.memory.differentiation` lists all methods and their costs. Both passes run the cell with aliases of its tensors:
see `model.memory.aliases`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from model.errors import ModelError
from model.memory.aliases import CellAliases, alias
from model.memory.autocast import AutocastState
from model.memory.checks import check_same
from model.memory.graph import Leaves, SegmentGraph
from model.memory.packed import PackedTensors
from model.memory.random_state import RandomState, RandomStates
from model.memory.segments import Recurrence


class Recording:
    """A forward pass over all segments, with what its backward pass needs."""

    def __init__(self, recurrence: Recurrence, memory: Tensor, tensors: Sequence[Tensor]):
        """`tensors` are the shared tensors, followed by those of the cell and the learned retention factors."""
        count, shared = len(recurrence.segments), recurrence.shared_count
        learned = len(tensors) - recurrence.learned_count
        factors = tuple(alias(tensor) for tensor in tensors[learned:])
        self.recurrence = recurrence.with_factors(factors)
        self.aliases = CellAliases(recurrence.cell, recurrence.places, tensors[shared:learned])
        self.leaves = Leaves(tuple(alias(tensor) for tensor in tensors[:shared]), self.aliases.tensors, factors)
        self.autocast = AutocastState.current(memory.device.type)
        self.memories, self.random = PackedTensors(count), RandomStates(memory.device, count)
        self.graphs: dict[int, SegmentGraph] = {}
        self.first_outputs: list[list[Tensor]] = []

    def run(self, memory: Tensor) -> list[Tensor]:
        """Run every segment; return the tensors of all summaries, and the last memory."""
        with self.autocast.restored():
            return self.aliases.call(lambda: self._run(memory))

    def replay(self, gradients: Sequence[Tensor | None]) -> tuple[Tensor | None, list[Tensor | None]]:
        """Gradients of the first memory, and of the tensors, from the `gradients` of the results of `run`."""
        random_before = RandomState.current(self.random.device)
        self.leaves.clear_gradients()
        try:
            memory_gradient = self.aliases.call(lambda: self._replay(gradients))
            return memory_gradient, [leaf.grad for leaf in self.leaves.all]
        finally:
            random_before.restore()
            self.leaves.clear_gradients()

    def _run(self, memory: Tensor) -> list[Tensor]:
        results, count = [], len(self.recurrence.segments)
        self._store_start(memory)
        first, keep = self.recurrence.first_graph_and_keep(memory, self.leaves, self.autocast)
        for index in range(count):
            if index >= count - keep:
                graph = first or self.recurrence.run_with_graph(index, memory, self.leaves, self.autocast)
                first, self.graphs[index] = None, graph
                outputs = graph.outputs
            else:
                outputs = self.recurrence.run(index, memory, self.leaves.shared)
            # Detach also those without a graph: a cell may return a parameter.
            *summary, memory = (output.detach() for output in outputs)
            results += summary
            if self.recurrence.method.check:
                self.first_outputs.append([output.clone() for output in (*summary, memory)])
            if index + 1 < count:
                self._store_start(memory)
        return [*results, memory]

    def _store_start(self, memory: Tensor) -> None:
        """Store what the replay of the next segment starts with."""
        self.memories.append(memory)
        self.random.append_current()

    def _replay(self, gradients: Sequence[Tensor | None]) -> Tensor | None:
        *summary_gradients, memory_gradient = gradients
        verify = True
        # Autograd adds the segments in this order under BPTT; any other order would change the bits.
        for index in reversed(range(len(self.recurrence.segments))):
            graph = self.graphs.pop(index, None)
            known = (*self._take_last(summary_gradients, index), memory_gradient)
            if all(gradient is None for gradient in known):
                continue
            graph = graph or self._run_again(index)
            (memory_gradient,) = graph.backward(known, verify)
            # Free this graph before the next segment runs.
            del graph
            verify = self.recurrence.method.check
            if self.recurrence.cuts_gradient_before(index):
                memory_gradient = None
        return memory_gradient

    def _take_last(self, gradients: list[Tensor | None], index: int) -> list[Tensor | None]:
        """Remove the gradients of the summary of segment `index` from the end of the list."""
        first = len(gradients) - self.recurrence.summary_tensors(index)
        taken = gradients[first:]
        del gradients[first:]
        return taken

    def _run_again(self, index: int) -> SegmentGraph:
        self.random[index].restore()
        with self.autocast.restored():
            graph = self.recurrence.run_with_graph(index, self.memories[index], self.leaves, self.autocast)
        if self.recurrence.method.check:
            check_same(f"segment {index + 1}", graph.outputs, self.first_outputs[index])
        return graph


class MemoryReplay(torch.autograd.Function):
    """The whole scan as one autograd node, so that any loss and DDP's hooks see a single ordinary operation."""

    @staticmethod
    def forward(ctx: Any, recurrence: Recurrence, memory: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run every segment; returns the tensors of all summaries, and the last memory."""
        ctx.set_materialize_grads(False)
        # Autograd then refuses to go backward after a change in place of any of them.
        ctx.save_for_backward(*tensors, *recurrence.inputs())
        ctx.recording = Recording(recurrence, memory, tensors)
        return tuple(ctx.recording.run(memory))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Replay the segments from the last to the first."""
        if torch.is_grad_enabled():
            raise ModelError(
                "create_graph=True asks for the gradient of a gradient, which a replay does not have; use Bptt"
            )
        # Raises if a tensor has changed, or if an earlier backward pass has freed this one.
        _ = ctx.saved_tensors
        memory_gradient, found = ctx.recording.replay(gradients)
        return (None, memory_gradient, *found)
