"""Ways to differentiate a recurrence over segments: backpropagation through time, AMRB and truncation.

A recurrence is a *cell* applied to one segment after the other:

    summary_t, memory_{t+1} = cell(segment_t, memory_t, retention_t, shared)

`scan` runs it; its last argument says how gradients are made. All ways but `Truncated` give the exact gradient, with
the same bits where a cell uses each parameter once a segment; otherwise sums are taken in another order and agree to
rounding.

`Bptt` keeps the graph of all T segments: memory grows with T.

`Amrb` (Astrocytic Memory Replay Backpropagation; RMAAT, arXiv 2601.00426) runs forward without a graph and keeps only
the memory tokens memory_1 .. memory_T. Backward goes from T to 1: recompute segment t from memory_t, and propagate the
gradients of its summary and of memory_{t+1} in one call. It is Memformer's memory replay (arXiv 2010.06891) with the
retention factor, and equals gradient checkpointing at segment boundaries. The paper's listing back-propagates from the
memory before its retention factor and walks the graph twice; both are mended here. The last `keep` segments keep the
graph of the forward pass, as it would be needed at once. One forward pass is the price: with backward = 2 forward, time
is (4 - keep / T) / 3 of BPTT's; memory is one segment's activations and the T memories.

`MemoryBudget` is AMRB that keeps as many graphs as fit. `LayerwiseAmrb` recomputes each layer once more inside the
replay: memory is one layer's activations, time (5 - 1 / L) / 3 of BPTT's with L layers. `Truncated` stops the gradient
at every k-th memory, counted from the end.

Random numbers and autocast are put back for each replay, so dropout draws the same masks.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from model.memory.autocast import Autocast
from model.memory.differentiation import Amrb, LayerwiseAmrb, MemoryBudget, Truncated
from model.memory.graph import Leaves, Step, Totals, run_layers, run_with_graph
from model.memory.random_state import RandomState, RandomStates, TensorBlock
from model.memory.recurrence import LayeredCell, Segment, Shared


@dataclass(frozen=True)
class Plan:
    """What the autograd function needs besides differentiable tensors."""

    cell: nn.Module
    segments: Sequence[Segment]
    retention: Sequence[Tensor] | Tensor
    way: Amrb | LayerwiseAmrb | MemoryBudget | Truncated
    shared_count: int

    def run(self, index: int, memory: Tensor, shared: Shared) -> tuple[Tensor, Tensor]:
        """The cell on segment `index`."""
        return self.cell(self.segments[index], memory, self.retention[index], shared)

    def step(self, index: int, memory: Tensor, tensors: Sequence[Tensor], surroundings: "Autocast") -> "Step":
        """Segment `index`, so that its gradient can be taken."""
        leaves = Leaves(tensors[: self.shared_count], tensors[self.shared_count :])
        if isinstance(self.way, LayerwiseAmrb):
            assert isinstance(self.cell, LayeredCell)
            return run_layers(
                self.cell.stages(self.segments[index], self.retention[index]), memory, leaves, surroundings
            )
        return run_with_graph(lambda state, shared: self.run(index, state[0], shared), (memory,), leaves)

    def stops_before(self, index: int) -> bool:
        """Whether the gradient stops at the memory that enters segment `index`."""
        return isinstance(self.way, Truncated) and index > 0 and (len(self.segments) - index) % self.way.segments == 0


class Replay(torch.autograd.Function):
    """The whole scan as one node, so that a loss outside and DDP's hooks see a single ordinary operation."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, memory: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run every segment; keep the memories, the random states and the graphs of the last segments."""
        ctx.plan = plan
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        ctx.surroundings = Autocast.now(memory.device.type)
        last = len(plan.segments)
        ctx.memories, ctx.random, ctx.kept = TensorBlock(last), RandomStates(memory.device, last), {}
        summaries = []
        with ctx.surroundings.again():
            first, keep = _first_step(plan, memory, tensors, ctx.surroundings)
            for index in range(last):
                ctx.memories.append(memory)
                ctx.random.append()
                if index >= last - keep:
                    step = ctx.kept[index] = first or plan.step(index, memory, tensors, ctx.surroundings)
                    first = None
                    summary, memory = (output.detach() for output in step.outputs)
                else:
                    summary, memory = plan.run(index, memory, tensors[: plan.shared_count])
                summaries.append(summary)
        return (*summaries, memory)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] (the decorator hides the names)
        ctx: Any, *gradients: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Replay from the last segment to the first, adding up the gradients of parameters and shared tensors."""
        plan: Plan = ctx.plan
        tensors = ctx.saved_tensors
        *summary_gradients, memory_gradient = gradients
        totals = Totals(len(tensors))
        random_now = RandomState.now(ctx.random.device)
        for index in reversed(range(len(plan.segments))):
            step = ctx.kept.pop(index, None)
            known = (summary_gradients[index], memory_gradient)
            if all(gradient is None for gradient in known):
                continue
            if step is None:
                ctx.random[index].restore()
                with ctx.surroundings.again():
                    step = plan.step(index, ctx.memories[index], tensors, ctx.surroundings)
            # From the last segment to the first, as autograd adds them under BPTT: the same bits.
            (memory_gradient,) = step.pull_back(known, totals)
            del step  # what enters its layers would be held beside the next one's
            if plan.stops_before(index):
                memory_gradient = None
        random_now.restore()
        return (None, memory_gradient, *totals.sums)


def _first_step(
    plan: Plan, memory: Tensor, tensors: Sequence[Tensor], surroundings: "Autocast"
) -> "tuple[Step | None, int]":
    """How many graphs to keep; and the first segment's, where it had to be made to know that and is kept."""
    if not isinstance(plan.way, MemoryBudget):
        return None, plan.way.keep
    random = RandomState.now(memory.device)
    with _saved_bytes({_place(tensor) for tensor in (memory, *tensors)}) as saved:
        step = plan.step(0, memory, tensors, surroundings)
    # The memories, the sum of each parameter's gradient, and one part of a sum.
    sums = [tensor.nbytes for tensor in tensors if tensor.requires_grad]
    others = len(plan.segments) * memory.nbytes + sum(sums) + max(sums, default=0)
    keep = plan.way.keep(sum(saved.values()), others, len(plan.segments))
    if keep == len(plan.segments):
        return step, keep
    random.restore()
    return None, keep


@contextmanager
def _saved_bytes(known: set[int]) -> Iterator[dict[int, int]]:
    """The bytes that graphs made inside hold on to, by storage, `known` storages apart."""
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if _place(tensor) not in known:
            saved[_place(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield saved


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
