"""`scan`: run a cell over segments, differentiated by the method that its last argument names.

The cell is a function of its arguments and its parameters:

    summary, memory = cell(segment, memory, retention, shared)

It must have no other state that changes, because a replay calls it again and expects the same result. Dropout is fine:
replay restores the random state. Segments receive no gradient, so embeddings belong inside the cell.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from model.errors import ModelError
from model.memory.differentiation import Bptt, Differentiation, LayerwiseAmrb
from model.memory.recurrence import Cell, LayeredCell, Segment, Shared
from model.memory.replay import MemoryReplay, Recurrence


def scan(
    cell: nn.Module,
    segments: Sequence[Segment],
    memory: Tensor,
    retention: Sequence[Tensor] | Tensor,
    shared: Shared,
    differentiation: Differentiation,
) -> tuple[list[Tensor], Tensor]:
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
        One tensor per segment, passed to the cell unchanged; or one tensor whose first axis is the segment.
    shared
        Tensors that all segments of a step use. Their gradients add up over segments.
    differentiation
        `Bptt`, `Amrb`, `LayerwiseAmrb`, `MemoryBudget` or `Truncated`. It does not change the results.

    Returns
    -------
    The summaries in order, and the last memory. Any loss over them can be differentiated, once.

    Raises
    ------
    ModelError
        No segments; another number of retention factors than segments; a segment or a retention factor that requires a
        gradient; a cell without `stages` under `LayerwiseAmrb`; a budget too small for one segment.
    """
    _check(cell, segments, retention, differentiation)
    if isinstance(differentiation, Bptt) or not torch.is_grad_enabled():
        return _run(cell, segments, memory, retention, shared)
    parameters = [parameter for parameter in cell.parameters() if parameter.requires_grad]
    recurrence = Recurrence(cell, segments, retention, differentiation, len(shared))
    *summaries, memory = MemoryReplay.apply(recurrence, memory, *shared, *parameters)
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
        raise ModelError(f"{len(segments)} segments came with {len(retention)} retention factors; give one each")
    for name, parts in (("segment", (part for segment in segments for part in segment)), ("retention", retention)):
        if any(part.requires_grad for part in parts):
            raise ModelError(f"a {name} requires a gradient, which a scan does not return; compute it inside the cell")
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
