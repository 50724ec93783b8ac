"""`scan`: run a cell over segments, differentiated by the method that its last argument names.

The cell is a function of its arguments and its parameters:

    summary, memory = cell(segment, memory, retention, shared)

A summary is a tensor, or a tuple or list of summaries. The cell must have no other state that changes, because a replay
calls it again and expects the same result. Dropout is fine: replay restores the random state of torch's default
generators. `check=True` finds other sources of chance. Segments receive no gradient, so embeddings belong inside the
cell; retention factors do.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from model.errors import ModelError
from model.memory.aliases import named_places
from model.memory.differentiation import Bptt, Differentiation, LayerwiseAmrb
from model.memory.recurrence import Cell, LayeredCell, Segment, Shared
from model.memory.replay import MemoryReplay
from model.memory.segments import Recurrence


def scan(
    cell: nn.Module,
    segments: Sequence[Segment],
    memory: Tensor,
    retention: Sequence[Tensor] | Tensor,
    shared: Shared,
    differentiation: Differentiation,
) -> tuple[list[Any], Tensor]:
    """Run `cell` over `segments`, starting with `memory`.

    Parameters
    ----------
    cell
        `cell(segment, memory, retention, shared) -> (summary, memory)`, as this module describes.
    segments
        One tuple of tensors per segment. They receive no gradient.
    memory
        The memory before the first segment, (batch, memory, width).
    retention
        One tensor per segment, passed to the cell unchanged; or one tensor whose first axis is the segment. Those that
        require a gradient receive it.
    shared
        Tensors that all segments of a step use. Their gradients add up over segments.
    differentiation
        `Bptt`, `Amrb`, `LayerwiseAmrb`, `MemoryBudget` or `Truncated`. It does not change the results.

    Returns
    -------
    The summaries in order, in the form that the cell gives them, and the last memory. Any loss over them can be
    differentiated; a second time with `retain_graph=True`.

    Raises
    ------
    ModelError
        No segments; another number of retention factors than segments; a segment that requires a gradient; a cell
        without `stages` under `LayerwiseAmrb`; a budget too small for one segment. With all methods but `Bptt`: a cell
        that changes its parameters or buffers; a summary that is no tensor, tuple or list; a transform of `torch.func`.
        In backward: a gradient of the gradient; a cell that uses a tensor with gradient that is neither its own nor
        shared; with `check`, a replay that gives another result.
    """
    _check(cell, segments, retention, differentiation)
    if isinstance(differentiation, Bptt) or not torch.is_grad_enabled():
        return _run(cell, segments, memory, retention, shared)
    _check_no_transform()
    # One input per tensor, so that hooks on a tensor that modules share run once.
    tensors, places = named_places(cell)
    # The rows of one tensor are separate inputs, as they are to the cells under BPTT.
    retention = list(retention)
    factors = list({id(factor): factor for factor in retention if factor.requires_grad}.values())
    learned = _places_among(factors, retention)
    recurrence = Recurrence(cell, places, segments, retention, differentiation, len(shared), learned)
    *found, memory = MemoryReplay.apply(recurrence, memory, *shared, *tensors, *factors)
    return recurrence.rebuild(found), memory


def _check(
    cell: nn.Module,
    segments: Sequence[Segment],
    retention: Sequence[Tensor] | Tensor,
    differentiation: Differentiation,
) -> None:
    if not len(segments):
        raise ModelError("there are no segments to scan; a sequence needs at least one token")
    if len(retention) != len(segments):
        raise ModelError(f"{len(segments)} segments came with {len(retention)} retention factors; give one each")
    if any(part.requires_grad for segment in segments for part in segment):
        raise ModelError("a segment requires a gradient, which a scan does not return; compute it inside the cell")
    if isinstance(differentiation, LayerwiseAmrb) and not isinstance(cell, LayeredCell):
        raise ModelError(
            f"{type(cell).__name__} has no method stages, which LayerwiseAmrb replays; add it, or use Amrb"
        )


def _places_among(factors: Sequence[Tensor], retention: Sequence[Tensor]) -> list[int | None]:
    """The index of each retention factor among the `factors` that require a gradient; empty if none does."""
    index = {id(factor): place for place, factor in enumerate(factors)}
    return [index.get(id(factor)) for factor in retention] if factors else []


def _check_no_transform() -> None:
    # torch has no public name for this test; `torch.autograd.Function` uses the same one.
    if torch._C._are_functorch_transforms_active():
        raise ModelError(
            "transforms of torch.func (grad, vmap, jacrev and others) cannot differentiate a replay; use Bptt, or "
            "torch.autograd.grad"
        )


def _run(
    cell: Cell, segments: Iterable[Segment], memory: Tensor, retention: Iterable[Tensor], shared: Shared
) -> tuple[list[Tensor], Tensor]:
    summaries = []
    for segment, factor in zip(segments, retention, strict=True):
        summary, memory = cell(segment, memory, factor, shared)
        summaries.append(summary)
    return summaries, memory
