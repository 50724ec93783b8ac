"""Ways to differentiate a recurrence over segments: backpropagation through time, and AMRB.

A recurrence is a *cell* applied to one segment after the other:

    summary_t, memory_{t+1} = cell(segment_t, memory_t, retention_t, shared)

`scan` runs it; its last argument, `Bptt()` or `Amrb(keep)`, says how gradients are made. Both give the same bits where
a cell uses each parameter once a segment, and otherwise agree to rounding, as sums are then taken in another order.

`Bptt` keeps the graph of all T segments: memory grows with T.

`Amrb` (Astrocytic Memory Replay Backpropagation; RMAAT, arXiv 2601.00426) runs forward without a graph and keeps only
the memory tokens memory_1 .. memory_T. Backward goes from T to 1: recompute segment t from memory_t, and propagate the
gradients of its summary and of memory_{t+1} in one call. It is Memformer's memory replay (arXiv 2010.06891) with the
retention factor, and equals gradient checkpointing at segment boundaries. The paper's listing back-propagates from the
memory before its retention factor and walks the graph twice; both are mended here. The last `keep` segments keep the
graph of the forward pass, as it would be needed at once. One forward pass is the price: with backward = 2 forward, time
is (4 - keep / T) / 3 of BPTT's; memory is one segment's activations and the T memories.

Random numbers and autocast are put back for each replay, so dropout draws the same masks.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from model.errors import ModelError

Segment = tuple[Tensor, ...]
Shared = tuple[Tensor, ...]
Cell = Callable[[Segment, Tensor, Tensor, Shared], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Bptt:
    """Backpropagation through time: the graph of every segment is kept."""


@dataclass(frozen=True)
class Amrb:
    """Memory replay: only memory tokens are kept, and the graphs of the last `keep` segments."""

    keep: int = 1

    def __post_init__(self) -> None:
        if self.keep < 0:
            raise ModelError(f"Amrb keeps {self.keep} graphs; it must be 0 or more")


Differentiation = Bptt | Amrb


def scan(
    cell: nn.Module,
    segments: Sequence[Segment],
    memory: Tensor,
    retention: Sequence[Tensor],
    shared: Shared,
    differentiation: Differentiation,
) -> tuple[list[Tensor], Tensor]:
    """Run `cell` over `segments` from `memory`.

    Parameters
    ----------
    cell
        `cell(segment, memory, retention, shared) -> (summary, memory)`: a function of its arguments and its parameters,
        with no other state that changes. Embeddings belong inside, so that a segment is token ids.
    segments
        One tuple of tensors a segment; they receive no gradient.
    memory
        What the first segment sees, (batch, memory, width).
    retention
        One tensor a segment, given to the cell as it is.
    shared
        Tensors that are the same for all segments of a step; their gradients add up over segments.

    Returns
    -------
    The summaries in order, and the last memory. Any loss over them may be differentiated, once.

    Raises
    ------
    ModelError
        No segments, or a segment or a retention factor that requires a gradient.
    """
    if not segments:
        raise ModelError("there are no segments to scan; a sequence needs at least one token")
    for name, parts in (("segment", [part for segment in segments for part in segment]), ("retention", retention)):
        if any(part.requires_grad for part in parts):
            raise ModelError(f"a {name} requires a gradient, which replay cannot give; compute it inside the cell")
    if isinstance(differentiation, Bptt) or not torch.is_grad_enabled():
        return _run(cell, segments, memory, retention, shared)
    parameters = [parameter for parameter in cell.parameters() if parameter.requires_grad]
    plan = _Plan(cell, list(segments), list(retention), differentiation.keep, len(shared))
    *summaries, memory = _Replay.apply(plan, memory, *shared, *parameters)
    return summaries, memory


def _run(
    cell: Cell, segments: Iterable[Segment], memory: Tensor, retention: Iterable[Tensor], shared: Shared
) -> tuple[list[Tensor], Tensor]:
    summaries = []
    for segment, factor in zip(segments, retention, strict=True):
        summary, memory = cell(segment, memory, factor, shared)
        summaries.append(summary)
    return summaries, memory


@dataclass(frozen=True)
class _Plan:
    """What the autograd function needs besides differentiable tensors."""

    cell: Cell
    segments: list[Segment]
    retention: list[Tensor]
    keep: int
    shared_count: int


@dataclass(frozen=True)
class _Step:
    """One segment with its graph: the leaves it starts from and what it gave."""

    leaves: list[Tensor]
    outputs: tuple[Tensor, Tensor]


class _Replay(torch.autograd.Function):
    """The whole scan as one node, so that a loss outside and DDP's hooks see a single ordinary operation."""

    @staticmethod
    def forward(ctx: Any, plan: _Plan, memory: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.plan = plan
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        ctx.surroundings = _Autocast.now(memory.device.type)
        ctx.memories, ctx.random, ctx.kept = [], [], {}
        summaries = []
        last = len(plan.segments)
        with ctx.surroundings.again():
            for index in range(last):
                ctx.memories.append(memory)
                ctx.random.append(_RandomState.now(memory.device))
                if index >= last - plan.keep:
                    step = _with_graph(plan, index, memory, tensors)
                    ctx.kept[index] = step
                    summary, memory = (output.detach() for output in step.outputs)
                else:
                    shared = tensors[: plan.shared_count]
                    summary, memory = plan.cell(plan.segments[index], memory, plan.retention[index], shared)
                summaries.append(summary)
        return (*summaries, memory)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] (the decorator hides the names)
        ctx: Any, *gradients: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        plan: _Plan = ctx.plan
        tensors = ctx.saved_tensors
        *summary_gradients, memory_gradient = gradients
        totals: list[Tensor | None] = [None] * len(tensors)
        random_now = _RandomState.now(ctx.memories[0].device)
        for index in reversed(range(len(plan.segments))):
            step = ctx.kept.pop(index, None)
            if step is None:
                ctx.random[index].restore()
                with ctx.surroundings.again():
                    step = _with_graph(plan, index, ctx.memories[index], tensors)
            memory_gradient, *parts = _pull_back(step, (summary_gradients[index], memory_gradient))
            # From the last segment to the first, as autograd adds them under BPTT: the same bits.
            totals = [_add(total, part) for total, part in zip(totals, parts, strict=True)]
        random_now.restore()
        return (None, memory_gradient, *totals)


def _with_graph(plan: _Plan, index: int, memory: Tensor, tensors: Sequence[Tensor]) -> _Step:
    """Run one segment with a graph that starts at its memory, the shared tensors and the parameters."""
    with torch.enable_grad():
        memory = memory.detach().requires_grad_()
        shared = tuple(tensor.detach().requires_grad_(tensor.requires_grad) for tensor in tensors[: plan.shared_count])
        outputs = plan.cell(plan.segments[index], memory, plan.retention[index], shared)
    return _Step([memory, *shared, *tensors[plan.shared_count :]], outputs)


def _pull_back(step: _Step, gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The gradients of the step's leaves, from those of its outputs, in one traversal."""
    known = [
        (output, gradient)
        for output, gradient in zip(step.outputs, gradients, strict=True)
        if gradient is not None and output.requires_grad
    ]
    wanted = [leaf for leaf in step.leaves if leaf.requires_grad]
    if not known or not wanted:
        return [None] * len(step.leaves)
    outputs, cotangents = zip(*known, strict=True)
    found = iter(torch.autograd.grad(outputs, wanted, cotangents, allow_unused=True))
    return [next(found) if leaf.requires_grad else None for leaf in step.leaves]


def _add(total: Tensor | None, part: Tensor | None) -> Tensor | None:
    if total is None or part is None:
        return part if total is None else total
    return total + part


@dataclass(frozen=True)
class _RandomState:
    """The generators that a cell on `device` draws from."""

    device: torch.device
    cpu: Tensor
    accelerator: Tensor | None

    @classmethod
    def now(cls, device: torch.device) -> "_RandomState":
        on_cuda = device.type == "cuda"
        return cls(device, torch.get_rng_state(), torch.cuda.get_rng_state(device) if on_cuda else None)

    def restore(self) -> None:
        torch.set_rng_state(self.cpu)
        if self.accelerator is not None:
            torch.cuda.set_rng_state(self.accelerator, self.device)


@dataclass(frozen=True)
class _Autocast:
    """The autocast state of the forward pass; backward runs outside of it.

    Without its cache: before torch 2.10 a cast made without a graph was served to the pass that builds one, which then
    gave that weight no gradient.
    """

    device_type: str
    enabled: bool
    dtype: torch.dtype

    @classmethod
    def now(cls, device_type: str) -> "_Autocast":
        enabled = torch.is_autocast_enabled(device_type)
        return cls(device_type, enabled, torch.get_autocast_dtype(device_type))

    def again(self) -> AbstractContextManager:
        return torch.autocast(self.device_type, self.dtype, self.enabled, cache_enabled=False)
