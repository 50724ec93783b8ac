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

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from model.errors import ModelError

Segment = tuple[Tensor, ...]
Shared = tuple[Tensor, ...]
State = tuple[Tensor, ...]
Cell = Callable[[Segment, Tensor, Tensor, Shared], tuple[Tensor, Tensor]]
Stage = Callable[[State, Shared], State]


@runtime_checkable
class LayeredCell(Protocol):
    """A cell that can be recomputed layer by layer, as `LayerwiseAmrb` needs it."""

    def stages(self, segment: Segment, retention: Tensor) -> Sequence[Stage]:
        """What the cell does, in pieces: the first takes the state (memory,), the last gives (summary, memory).

        A stage is a function of its state, the shared tensors and the cell's parameters. What it does not hand on in
        its state, later stages do not see; tensors of a state that are not floating receive no gradient.
        """
        ...


def joined(first: Stage, second: Stage) -> Stage:
    """The stage that does `first`, then `second`."""
    return lambda state, shared: second(first(state, shared), shared)


@dataclass(frozen=True)
class Bptt:
    """Backpropagation through time: the graph of every segment is kept."""


@dataclass(frozen=True)
class Amrb:
    """Memory replay: only memory tokens are kept, and the graphs of the last `keep` segments."""

    keep: int = 1

    def __post_init__(self) -> None:
        _check_keep(self.keep)


@dataclass(frozen=True)
class LayerwiseAmrb:
    """Memory replay that also replays each layer: of the last `keep` segments, it keeps what enters each layer.

    The cell must be a `LayeredCell`.
    """

    keep: int = 1

    def __post_init__(self) -> None:
        _check_keep(self.keep)


@dataclass(frozen=True)
class MemoryBudget:
    """Memory replay that keeps as many graphs as fit into `megabytes` (10^6 bytes).

    The budget is for what a step holds above parameters, gradients and moments. The graph of the first segment is
    measured before the others, which costs one segment's forward pass where not all graphs fit. One graph's share of
    the budget is left free, for what the backward pass of a segment allocates. Where all fit, this costs what `Bptt`
    does.
    """

    megabytes: float

    def __post_init__(self) -> None:
        if not self.megabytes > 0:
            raise ModelError(f"a memory budget of {self.megabytes:g} MB was given; it must be above 0")

    def keep(self, graph_bytes: int, other_bytes: int, segments: int) -> int:
        """How many of `segments` graphs of `graph_bytes` fit beside `other_bytes`, at least one.

        Raises
        ------
        ModelError
            Not even one fits.
        """
        available = self.megabytes * 1e6 - other_bytes
        fit = int(available // max(graph_bytes, 1)) - 1
        if fit < 1:
            needed = (2 * graph_bytes + other_bytes) / 1e6
            raise ModelError(
                f"a memory budget of {self.megabytes:g} MB is less than the {needed:.1f} MB that one segment takes; "
                "raise it, make segments shorter, or use LayerwiseAmrb"
            )
        return min(fit, segments)


@dataclass(frozen=True)
class Truncated:
    """The gradient of each stretch of `segments` segments, by replay; the last stretch ends with the sequence.

    Memory enters a stretch without a gradient, so that the last segment's loss reaches `segments` segments, itself
    included. The first stretch is shorter where the number of segments is no multiple.
    """

    segments: int
    keep: int = 1

    def __post_init__(self) -> None:
        _check_keep(self.keep)
        if self.segments < 1:
            raise ModelError(f"the gradient is to stop after {self.segments} segments; it must reach at least 1")


Differentiation = Bptt | Amrb | LayerwiseAmrb | MemoryBudget | Truncated


def _check_keep(keep: int) -> None:
    if keep < 0:
        raise ModelError(f"AMRB is to keep {keep} graphs; it must be 0 or more")


def scan(
    cell: nn.Module,
    segments: Sequence[Segment],
    memory: Tensor,
    retention: Sequence[Tensor] | Tensor,
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
        One tensor a segment, given to the cell as it is; or one tensor whose first axis is the segment.
    shared
        Tensors that are the same for all segments of a step; their gradients add up over segments.

    Returns
    -------
    The summaries in order, and the last memory. Any loss over them may be differentiated, once.

    Raises
    ------
    ModelError
        No segments, another number of retention factors, a segment or a retention factor that requires a gradient, a
        cell without `stages` under `LayerwiseAmrb`, a budget too small for one segment.
    """
    _check(cell, segments, retention, differentiation)
    if isinstance(differentiation, Bptt) or not torch.is_grad_enabled():
        return _run(cell, segments, memory, retention, shared)
    parameters = [parameter for parameter in cell.parameters() if parameter.requires_grad]
    plan = _Plan(cell, segments, retention, differentiation, len(shared))
    *summaries, memory = _Replay.apply(plan, memory, *shared, *parameters)
    return summaries, memory


def _check(
    cell: nn.Module,
    segments: Sequence[Segment],
    retention: Sequence[Tensor] | Tensor,
    differentiation: Differentiation,
) -> None:
    if not len(segments):
        raise ModelError("there are no segments to scan; a sequence needs at least one token")
    if len(retention) != len(segments):
        raise ModelError(f"{len(segments)} segments came with {len(retention)} retention factors; each needs its own")
    for name, parts in (("segment", (part for segment in segments for part in segment)), ("retention", retention)):
        if any(part.requires_grad for part in parts):
            raise ModelError(f"a {name} requires a gradient, which replay cannot give; compute it inside the cell")
    if isinstance(differentiation, LayerwiseAmrb) and not isinstance(cell, LayeredCell):
        raise ModelError(
            f"{type(cell).__name__} has no method stages, which LayerwiseAmrb replays; add it, or use Amrb"
        )


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

    cell: nn.Module
    segments: Sequence[Segment]
    retention: Sequence[Tensor] | Tensor
    way: Amrb | LayerwiseAmrb | MemoryBudget | Truncated
    shared_count: int

    def run(self, index: int, memory: Tensor, shared: Shared) -> tuple[Tensor, Tensor]:
        """The cell on segment `index`."""
        return self.cell(self.segments[index], memory, self.retention[index], shared)

    def step(self, index: int, memory: Tensor, tensors: Sequence[Tensor], surroundings: "_Autocast") -> "_Step":
        """Segment `index`, so that its gradient can be taken."""
        leaves = _Leaves(tensors[: self.shared_count], tensors[self.shared_count :])
        if isinstance(self.way, LayerwiseAmrb):
            assert isinstance(self.cell, LayeredCell)
            return _layers(self.cell.stages(self.segments[index], self.retention[index]), memory, leaves, surroundings)
        return _graph(lambda state, shared: self.run(index, state[0], shared), (memory,), leaves)

    def stops_before(self, index: int) -> bool:
        """Whether the gradient stops at the memory that enters segment `index`."""
        return isinstance(self.way, Truncated) and index > 0 and (len(self.segments) - index) % self.way.segments == 0


class _Replay(torch.autograd.Function):
    """The whole scan as one node, so that a loss outside and DDP's hooks see a single ordinary operation."""

    @staticmethod
    def forward(ctx: Any, plan: _Plan, memory: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.plan = plan
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        ctx.surroundings = _Autocast.now(memory.device.type)
        last = len(plan.segments)
        ctx.memories, ctx.random, ctx.kept = _Block(last), _RandomStates(memory.device, last), {}
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
        plan: _Plan = ctx.plan
        tensors = ctx.saved_tensors
        *summary_gradients, memory_gradient = gradients
        totals = _Totals(len(tensors))
        random_now = _RandomState.now(ctx.random.device)
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
    plan: _Plan, memory: Tensor, tensors: Sequence[Tensor], surroundings: "_Autocast"
) -> "tuple[_Step | None, int]":
    """How many graphs to keep; and the first segment's, where it had to be made to know that and is kept."""
    if not isinstance(plan.way, MemoryBudget):
        return None, plan.way.keep
    random = _RandomState.now(memory.device)
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


@dataclass(frozen=True)
class _Leaves:
    """What every segment's graph starts from, its state apart."""

    shared: Sequence[Tensor]
    parameters: Sequence[Tensor]


class _Step(Protocol):
    """One segment that has run and can be differentiated."""

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Summary and memory."""
        ...

    def pull_back(self, gradients: Sequence[Tensor | None], totals: "_Totals") -> list[Tensor | None]:
        """The gradient of what entered, from those of the outputs; those of shared tensors and parameters are added."""
        ...


class _Totals:
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
class _Graph:
    """A graph: what it starts from (its state; shared tensors and parameters) and what it gave."""

    state: State
    leaves: list[Tensor]
    outputs: tuple[Tensor, ...]

    def pull_back(self, gradients: Sequence[Tensor | None], totals: _Totals) -> list[Tensor | None]:
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


def _graph(stage: Stage, state: State, leaves: _Leaves) -> _Graph:
    """Run `stage` with a graph that starts at its state, the shared tensors and the parameters."""
    with torch.enable_grad():
        state = tuple(tensor.detach().requires_grad_(tensor.is_floating_point()) for tensor in state)
        shared = tuple(tensor.detach().requires_grad_(tensor.requires_grad) for tensor in leaves.shared)
        outputs = stage(state, shared)
    return _Graph(state, [*shared, *leaves.parameters], outputs)


@dataclass(frozen=True)
class _Entry:
    """A stage with what enters it."""

    stage: Stage
    state: State
    random: "_RandomState"


@dataclass(frozen=True)
class _Layers:
    """What enters each layer, and the graph of the last, which is needed first."""

    entries: list[_Entry]
    last: _Graph
    leaves: _Leaves
    surroundings: "_Autocast"

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Summary and memory."""
        return self.last.outputs

    def pull_back(self, gradients: Sequence[Tensor | None], totals: _Totals) -> list[Tensor | None]:
        """The gradient of the memory, one layer's graph after the other."""
        gradients = self.last.pull_back(gradients, totals)
        while self.entries:
            entry = self.entries.pop()
            entry.random.restore()
            with self.surroundings.again():
                graph = _graph(entry.stage, entry.state, self.leaves)
            del entry
            gradients = graph.pull_back(gradients, totals)
            del graph
        return list(gradients)


def _layers(stages: Sequence[Stage], memory: Tensor, leaves: _Leaves, surroundings: "_Autocast") -> _Layers:
    """Run `stages` without a graph, the last one with."""
    state, entries = (memory,), []
    *earlier, final = stages
    with torch.no_grad():
        for stage in earlier:
            entries.append(_Entry(stage, state, _RandomState.now(memory.device)))
            state = stage(state, tuple(leaves.shared))
    return _Layers(entries, _graph(final, state, leaves), leaves, surroundings)


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

    def equals(self, other: "_RandomState") -> bool:
        """Whether the generators stand at the same number."""
        if self.accelerator is not None and other.accelerator is not None:
            return torch.equal(self.cpu, other.cpu) and torch.equal(self.accelerator, other.accelerator)
        return self.accelerator is other.accelerator and torch.equal(self.cpu, other.cpu)

    def restore(self) -> None:
        torch.set_rng_state(self.cpu)
        if self.accelerator is not None:
            torch.cuda.set_rng_state(self.accelerator, self.device)


class _Block:
    """A list of tensors, one after the other in one allocation.

    Small tensors that stay, each allocated between the large ones of a segment that go, would split the heap: of a
    sequence of 131,072 tokens, 100 MB more stayed resident.
    """

    def __init__(self, most: int):
        self.most = most
        self.tensors: list[Tensor | None] = []
        self.block: Tensor | None = None

    def append(self, tensor: Tensor) -> None:
        """Add a copy; or the tensor itself, where its form is not that of the others."""
        if self.block is None:
            self.block = tensor.new_empty((self.most, *tensor.shape))
        place = self.block[len(self.tensors)]
        alike = (tensor.shape, tensor.dtype, tensor.device) == (place.shape, place.dtype, place.device)
        self.tensors.append(None if alike else tensor)
        if alike:
            place.copy_(tensor)

    def __len__(self) -> int:
        return len(self.tensors)

    def __getitem__(self, index: int) -> Tensor:
        assert self.block is not None
        other = self.tensors[index]
        return self.block[index] if other is None else other


class _RandomStates:
    """The state before each segment, stored once where nothing was drawn since the one before: each takes 5 kB."""

    def __init__(self, device: torch.device, most: int):
        self.device, self.places = device, []
        self.cpu, self.accelerator = _Block(most), _Block(most)
        self.latest: _RandomState | None = None

    def append(self) -> None:
        """Add the present state."""
        state = _RandomState.now(self.device)
        if self.latest is None or not state.equals(self.latest):
            self.latest = state
            self.cpu.append(state.cpu)
            if state.accelerator is not None:
                self.accelerator.append(state.accelerator)
        self.places.append(len(self.cpu) - 1)

    def __getitem__(self, index: int) -> "_RandomState":
        place = self.places[index]
        on_cuda = self.device.type == "cuda"
        # Copies, for torch.set_rng_state crashes on a tensor that does not own its memory.
        return _RandomState(self.device, self.cpu[place].clone(), self.accelerator[place].clone() if on_cuda else None)


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
