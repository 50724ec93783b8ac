"""A block of a network: local mixing (an option), mixing (attention or a state space) and a feed-forward part."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from model.layers.dropout import Dropout
from model.layers.local_mixing import LocalMixing
from model.layers.mixing import Mixing, Rows, Shared, Valid, WantedRows


class Block(nn.Module):
    """Mixing and a feed-forward part, each with a residual; layer norm after each sum, or before each part.

    The `local` mixing changes the input of the mixing alone or, with `local_into_rows`, the rows of the block.
    """

    def __init__(
        self,
        attention: Mixing,
        width: int,
        feed_forward_width: int,
        dropout: float,
        norm_first: bool,
        local: LocalMixing | None = None,
        local_into_rows: bool = False,
    ):
        super().__init__()
        self.local, self.attention, self.local_into_rows = local, attention, local_into_rows
        self.feed_forward = nn.Sequential(
            nn.Linear(width, feed_forward_width),
            nn.GELU(),
            nn.Linear(feed_forward_width, width),
        )
        self.attention_norm = nn.LayerNorm(width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)
        self.norm_first = norm_first

    def forward(self, rows: Rows, valid: Valid, shared: Shared, wanted: int) -> WantedRows:
        """The first `wanted` rows after this block."""
        rows, mixed = (
            self.localised(rows, partial(self.local, valid=valid)) if self.local else (rows, self.before(rows))
        )
        return self.after(rows[:, :wanted], self.attention(mixed, valid, shared, wanted))

    def localised(self, rows: Tensor, local: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """The rows of the block and the input of the mixing, one of which `local` has changed."""
        if self.local_into_rows:
            rows = local(rows)
            return rows, self.before(rows)
        return rows, local(self.before(rows))

    def before(self, rows: Tensor) -> Tensor:
        """Input of the mixing, local or not, from the block's input."""
        return self.attention_norm(rows) if self.norm_first else rows

    def after(self, rows: Tensor, attended: Tensor) -> Tensor:
        """Output of the block, from its input `rows` and the output of the mixing."""
        if self.norm_first:
            rows = rows + self.dropout(attended)
            return rows + self.dropout(self.feed_forward(self.feed_forward_norm(rows)))
        rows = self.attention_norm(rows + self.dropout(attended))
        return self.feed_forward_norm(rows + self.dropout(self.feed_forward(rows)))
