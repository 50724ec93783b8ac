"""A layer of a network: attention and a feed-forward part."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from model.layers.attention import Mixing


class Block(nn.Module):
    """Attention and a feed-forward part, each with its residual; norms after them, or before them."""

    def __init__(self, attention: Mixing, width: int, feed_forward_width: int, dropout: float, norm_first: bool):
        super().__init__()
        self.attention = attention
        self.feed_forward = nn.Sequential(
            nn.Linear(width, feed_forward_width),
            nn.GELU(),
            nn.Linear(feed_forward_width, width),
        )
        self.attention_norm = nn.LayerNorm(width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.norm_first = norm_first

    def forward(
        self,
        rows: Float[Tensor, "batch token width"],
        valid: Bool[Tensor, "batch token"],
        shared: tuple[Tensor, ...],
        wanted: int,
    ) -> Float[Tensor, "batch wanted width"]:
        """The first `wanted` rows of the next layer."""
        return self.after(rows[:, :wanted], self.attention(self.before(rows), valid, shared, wanted))

    def before(self, rows: Tensor) -> Tensor:
        """What attention sees of the block's `rows`."""
        return self.attention_norm(rows) if self.norm_first else rows

    def after(self, rows: Tensor, attended: Tensor) -> Tensor:
        """Rows of the next layer from those that came in and what attention made of them."""
        if self.norm_first:
            rows = rows + self.dropout(attended)
            return rows + self.dropout(self.feed_forward(self.feed_forward_norm(rows)))
        rows = self.attention_norm(rows + self.dropout(attended))
        return self.feed_forward_norm(rows + self.dropout(self.feed_forward(rows)))
