"""A block of a network, computed a few rows at a time: its memory hardly depends on the length of a segment.

Rows of a segment meet only in the sums that attention writes (`model.layers.mixing.SummedMixing`). Norms, projections,
the read and the feed-forward part are per row. So only the input of a block needs all rows at once:

    forward    chunk by chunk: add what the rows write to the sums; then read the sums, and pass the feed-forward part
    backward   chunk by chunk: read again, with a graph, and back-propagate to rows, sums and parameters
               chunk by chunk: write again, with a graph, and back-propagate from the sums

Backward thus holds the graph of one chunk, for the price of one more forward pass. Softmax has no such sums.

Each parameter gets the sum of its gradients over all chunks at once. Replay and BPTT therefore have the same bits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from model.layers.block import Block
from model.layers.mixing import Rows, Shared, SummedMixing, Valid, WantedRows
from model.memory.aliases import CellAliases, named_places
from model.memory.autocast import AutocastState
from model.memory.random_state import RandomState

Sums = tuple[Tensor, ...]
"""What the rows of a segment have written."""
BY_ROW = 3
"""Inputs that have rows: those of the block, of its mixing, and of the first shared tensor."""


def by_row_blocks(block: Block, rows: Rows, valid: Valid, shared: Shared, wanted: int, size: int) -> WantedRows:
    """As `Block.forward`, `size` rows at a time; the mixing of `block` is a `SummedMixing`.

    `shared` is the result of its `shared_by_row`.
    """
    rows, mixed = _with_local_mixing(block, rows, valid)
    chunked = _ChunkedBlock(block, valid, wanted, size)
    if not torch.is_grad_enabled():
        return chunked.read(rows, mixed, chunked.write(rows, mixed, shared))
    tensors, places = named_places(block)
    return _Chunks.apply(chunked, CellAliases(block, places, tensors), rows, mixed, len(shared), *shared, *tensors)


def _with_local_mixing(block: Block, rows: Tensor, valid: Tensor) -> tuple[Tensor, Tensor | None]:
    """The rows of `block`, and the input of its mixing, or None if each chunk makes it of its rows.

    Neighbours meet in the local mixing, so it computes all rows, again in backward.
    """
    if block.local is None:
        return rows, None
    local = partial(block.local, valid=valid)
    if block.local_into_rows:
        return checkpoint(local, rows, use_reentrant=False, preserve_rng_state=False), None
    return rows, checkpoint(lambda rows: local(block.before(rows)), rows, use_reentrant=False, preserve_rng_state=False)


@dataclass(frozen=True)
class _ChunkedBlock:
    """Both passes of a block over chunks of `size` rows; `mixed` is the second result of `_with_local_mixing`."""

    block: Block
    valid: Tensor
    wanted: int
    size: int

    def write(self, rows: Tensor, mixed: Tensor | None, shared: Shared) -> Sums:
        """What all rows write."""
        total: Sums = ()
        for chunk in self.chunks(rows.shape[1]):
            found = self.write_chunk(chunk, *_rows_of(chunk, rows, mixed, *shared[:1]), *shared[1:])
            total = tuple(a + b for a, b in zip(total, found, strict=True)) if total else found
        return total

    def read(self, rows: Tensor, mixed: Tensor | None, sums: Sums) -> Tensor:
        """The wanted rows after the block."""
        read = [self.read_chunk(sums, *_rows_of(chunk, rows, mixed)) for chunk in self.chunks(self.wanted)]
        return torch.cat(read, dim=1)

    def write_chunk(self, chunk: slice, rows: Tensor, mixed: Tensor | None, *shared: Tensor) -> Sums:
        """What the rows of `chunk` write; all tensors but the last ones of `shared` hold these rows alone."""
        return self._mixing.write(self._input(rows, mixed), self.valid[:, chunk], shared)

    def read_chunk(self, sums: Sums, rows: Tensor, mixed: Tensor | None) -> Tensor:
        """Rows after the block, from their `rows` before it and what all rows have written."""
        return self.block.after(rows, self._mixing.read_sums(self._input(rows, mixed), sums, self.valid))

    def chunks(self, rows: int) -> Iterator[slice]:
        """The places of the rows of each chunk."""
        return (slice(first, min(first + self.size, rows)) for first in range(0, rows, self.size))

    def _input(self, rows: Tensor, mixed: Tensor | None) -> Tensor:
        return self.block.before(rows) if mixed is None else mixed

    @property
    def _mixing(self) -> SummedMixing:
        assert isinstance(self.block.attention, SummedMixing)
        return self.block.attention


def _rows_of(chunk: slice, *tensors: Tensor | None) -> list[Any]:
    """Views of the rows of `chunk`, which lie along the second axis of each of the `tensors`."""
    return [None if tensor is None else tensor[:, chunk] for tensor in tensors]


class _Chunks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        chunked: _ChunkedBlock,
        aliases: CellAliases,
        rows: Tensor,
        mixed: Tensor | None,
        shared_count: int,
        *others: Tensor,
    ) -> Tensor:
        # Save the inputs before they are detached: hooks of modules look for the graph of what requires a gradient.
        saved = rows, mixed, *others
        rows, mixed, *shared = _detached(saved[: 2 + shared_count])
        sums = chunked.write(rows, mixed, tuple(shared))
        ctx.chunked, ctx.aliases, ctx.counts = chunked, aliases, (shared_count, len(sums))
        ctx.random, ctx.autocast = RandomState.current(rows.device), AutocastState.current(rows.device.type)
        # The parameters too: autograd then refuses to go backward after a change in place of any of them.
        ctx.save_for_backward(*saved, *sums)
        return chunked.read(rows, mixed, sums)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] (the decorator hides the names)
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        shared_count, sum_count = ctx.counts
        inputs, sums = saved[: 2 + shared_count], saved[len(saved) - sum_count :]
        random_before = RandomState.current(gradient.device)
        ctx.random.restore()
        try:
            with ctx.autocast.restored(), torch.enable_grad():
                (of_rows, of_mixed, *of_shared), of_tensors = ctx.aliases.call(
                    lambda: _gradients(ctx.chunked, inputs, sums, ctx.aliases.tensors, gradient)
                )
        finally:
            random_before.restore()
        return (None, None, of_rows, of_mixed, None, *of_shared, *of_tensors)


def _gradients(
    chunked: _ChunkedBlock,
    inputs: Sequence[Any],
    sums: Sequence[Tensor],
    leaves: Sequence[Tensor],
    gradient: Tensor,
) -> tuple[list[Tensor | None], list[Tensor | None]]:
    """Gradients of the `inputs` (rows, input of the mixing, shared tensors) of a chunked block, and of its `leaves`.

    Whatever has no rows of its own adds up its gradient over chunks in `grad`.
    """
    by_row, whole = inputs[:BY_ROW], _leaves(inputs[BY_ROW:])
    totals = [None if tensor is None else torch.zeros_like(tensor) for tensor in by_row]
    written = _leaves(sums)
    for chunk in chunked.chunks(chunked.wanted):
        starts = _leaves(_rows_of(chunk, *by_row[:2]))
        _add_gradients(
            (chunked.read_chunk(tuple(written), *starts),),
            (gradient[:, chunk],),
            starts,
            [*written, *leaves],
            _rows_of(chunk, *totals[:2]),
        )
    of_sums: list[Any] = [part.grad for part in written]
    for chunk in chunked.chunks(by_row[0].shape[1]):
        starts = _leaves(_rows_of(chunk, *by_row))
        _add_gradients(
            chunked.write_chunk(chunk, *starts, *whole), of_sums, starts, [*whole, *leaves], _rows_of(chunk, *totals)
        )
    found = [leaf.grad for leaf in leaves]
    # A second pass backward starts again.
    for leaf in leaves:
        leaf.grad = None
    return [*totals, *(part.grad for part in whole)], found


def _leaves(tensors: Sequence[Tensor | None]) -> list[Any]:
    """The `tensors` as starts of a graph."""
    return [None if tensor is None else tensor.requires_grad_() for tensor in _detached(tensors)]


def _detached(tensors: Sequence[Tensor | None]) -> list[Any]:
    return [None if tensor is None else tensor.detach() for tensor in tensors]


def _add_gradients(
    outputs: Sequence[Tensor],
    gradients: Sequence[Tensor],
    starts: Sequence[Tensor | None],
    leaves: Sequence[Tensor],
    totals: Sequence[Tensor | None],
) -> None:
    """Back-propagate from the `outputs`, and add the gradients of `starts` to `totals`."""
    reached = [part for part in (*starts, *leaves) if part is not None and part.requires_grad]
    torch.autograd.backward(outputs, gradients, inputs=reached)
    for start, total in zip(starts, totals, strict=True):
        if total is not None and start is not None and start.grad is not None:
            total += start.grad
