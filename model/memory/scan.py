"""Run a cell over segments."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from model.errors import ModelError
from model.memory.differentiation import Bptt, Differentiation, LayerwiseAmrb
from model.memory.recurrence import Cell, LayeredCell, Segment, Shared
from model.memory.replay import Plan, Replay


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
    plan = Plan(cell, segments, retention, differentiation, len(shared))
    *summaries, memory = Replay.apply(plan, memory, *shared, *parameters)
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
