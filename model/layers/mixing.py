"""The interface of mixing: the part of a block in which rows of a segment read each other.

`model.layers.attention.Attention` and `model.layers.state_space.StateSpace` implement it; `model.layers.block.Block`
calls it.
"""

from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor, nn

Rows = Float[Tensor, "batch token width"]
WantedRows = Float[Tensor, "batch wanted width"]
Valid = Bool[Tensor, "batch token"]
Shared = tuple[Tensor, ...]


class Mixing(nn.Module):
    """Base class of everything that mixes the rows of a segment."""

    def shared(self) -> Shared:
        """Tensors that depend on parameters alone, computed once per step for all segments; () by default."""
        return ()

    def forward(self, rows: Rows, valid: Valid, shared: Shared, wanted: int) -> WantedRows:
        """What each of the first `wanted` rows reads from all valid rows. `shared` is the result of `shared()`."""
        raise NotImplementedError


class SummedMixing(Mixing):
    """Base class of mixing whose rows meet only in sums: each row adds to them, then each row reads them.

    It is `forward` in two halves: `model.networks.row_blocks` computes some rows at a time.
    """

    def shared_by_row(self) -> Shared:
        """What `write` takes in place of `shared`; () by default.

        Places of the second axis of the first tensor are rows of the segment. The others are passed whole.
        """
        return ()

    def write(self, rows: Rows, valid: Valid, shared: Shared) -> tuple[Tensor, ...]:
        """What some rows of a segment add to each sum; `valid` and the first tensor of `shared` have these rows."""
        raise NotImplementedError

    def read_sums(self, rows: Rows, sums: tuple[Tensor, ...], valid: Bool[Tensor, "batch row"]) -> Rows:
        """What some rows read from the `sums` of a whole segment, whose rows are `valid`."""
        raise NotImplementedError


class CausalMixing(Mixing):
    """Base class of the mixing of a language model: a row reads no token after it."""

    def advance(self, rows: Rows, valid: Valid, shared: Shared, first: int, written: Any) -> tuple[Rows, Any]:
        """What the rows from position `first` of a segment on read, and the state after them, for a stream.

        `written` is the state after the earlier rows of the segment, or None at its start.
        """
        raise NotImplementedError
