"""Attention over the rows of one segment: astromorphic (RMAAT), and softmax for the baselines.

Per head, with phi(x) = elu(x) + 1, features K = phi(X W_K), Q = phi(X W_Q) and values V = X W_V:

    write   H = scale (K^T V + phi(R)^T V)      neuronal and astrocytic Hebbian traces    (feature, value)
            g = (sum_n K_n)^alpha               presynaptic plasticity                    (feature)
    read    L_n = Q_n H / (Q_n . g)                                                       (token, value)
    where   R = W^T (W r W^T),  r_ij = exp(-decay |i - j|)                                (token, feature)

Source: RMAAT (arXiv 2601.00426) section 3 and its parent AT (arXiv 2312.10925). The division per token is the reading
of the paper's `H o P` whose shapes fit, as in AT. `scale` is ours: AT's m = 500 makes the term too small to matter.
With alpha = 1, scale = 1 and no phi(R) this is linear attention (Katharopoulos et al. 2020).

Attention here returns the heads' outputs joined and projected; the residual is the block's.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from model.fused import LEAST_KEY_SUM, fused_attention, positive_features, without_autocast

Kernel = Callable[[Tensor], Tensor]
"""From rows x (..., token) to x r, with r_ij the strength between tokens i and j."""


def astrocytic_features(
    projection: Float[Tensor, "head feature token"], kernel: Kernel
) -> Float[Tensor, "head token feature"]:
    """phi(R) with R = W^T (W r W^T) and `kernel(x)` = x r, in float32 at least.

    It depends on parameters alone, so one is enough for all segments of a step.
    """
    with without_autocast(projection):
        coupled = kernel(projection) @ projection.mT
        return positive_features(projection.mT @ coupled)


def astromorphic_attention(
    query: Float[Tensor, "batch head read feature"],
    key: Float[Tensor, "batch head token feature"],
    value: Float[Tensor, "batch head token value"],
    astrocytic: Float[Tensor, "head token feature"] | None,
    valid: Bool[Tensor, "batch token"],
    exponent: Float[Tensor, ""],
    scale: float,
) -> Float[Tensor, "batch head read value"]:
    """The module's write and read, in O(token). `query` and `key` are features already; invalid rows write nothing.

    The plain form of `model.fused.fused_attention`, which the modules use. Both writes share the values, so they are
    one product: K^T V + phi(R)^T V = (K + phi(R))^T V.
    """
    rows = valid[:, None, :, None]
    key = key * rows
    plasticity = key.sum(dim=2, keepdim=True).clamp(min=LEAST_KEY_SUM).pow(exponent)
    normaliser = (query * plasticity).sum(dim=3, keepdim=True)
    if astrocytic is not None:
        key = key + astrocytic * rows
    memory = scale * (key.mT @ value.to(key.dtype))
    return (query @ memory / normaliser).to(value.dtype)


class Attention(nn.Module):
    """What a block needs: features that all segments of a step share, and attention over the rows of one segment."""

    def shared(self) -> tuple[Tensor, ...]:
        """Tensors that depend on parameters alone, computed once per step; none unless a kind of attention has some."""
        return ()

    def forward(self, rows: Tensor, valid: Tensor, shared: tuple[Tensor, ...]) -> Tensor:
        """Rows (batch, token, width) to rows of the same shape; rows that are not valid are not attended to."""
        raise NotImplementedError


class AstromorphicAttention(Attention):
    """RMAAT's attention with `heads` heads over segments of `tokens` rows, memory tokens included.

    `kernel` is one of `model.positions`; `exponent` is alpha, fixed.
    """

    exponent: Tensor

    def __init__(
        self, width: int, heads: int, tokens: int, exponent: float, kernel: nn.Module, scale: float | None = None
    ):
        super().__init__()
        features = width // heads
        self.heads = heads
        self.scale = 1 / features if scale is None else scale
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)
        # Rows of W have unit length at the start, so R is of order one whatever the segment length.
        self.position_projection = nn.Parameter(torch.randn(heads, features, tokens) / tokens**0.5)
        self.kernel = kernel
        self.register_buffer("exponent", torch.tensor(exponent))

    def shared(self) -> tuple[Tensor, ...]:
        """phi(R), shape (head, token, feature)."""
        return (astrocytic_features(self.position_projection, self.kernel),)

    def forward(
        self,
        rows: Float[Tensor, "batch token width"],
        valid: Bool[Tensor, "batch token"],
        shared: tuple[Tensor, ...],
    ) -> Float[Tensor, "batch token width"]:
        """Attend over the valid rows; costs O(token width^2)."""
        query, key, value = split_heads(self.project_in(rows), self.heads)
        read = fused_attention(query, key, value, shared[0], valid, self.exponent, self.scale)
        return self.project_out(join_heads(read))


class SoftmaxAttention(Attention):
    """Softmax attention for the Transformer and RMT baselines; costs O(token^2)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(
        self,
        rows: Float[Tensor, "batch token width"],
        valid: Bool[Tensor, "batch token"],
        shared: tuple[Tensor, ...],  # noqa: ARG002
    ) -> Float[Tensor, "batch token width"]:
        """Attend over the valid rows."""
        query, key, value = split_heads(self.project_in(rows), self.heads)
        read = functional.scaled_dot_product_attention(query, key, value, attn_mask=valid[:, None, None, :])
        return self.project_out(join_heads(read))


def split_heads(rows: Float[Tensor, "batch token joined"], heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value, each (batch, head, token, feature), from one projection of width 3 x width."""
    query, key, value = rows.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    return query, key, value


def join_heads(read: Float[Tensor, "batch head token feature"]) -> Float[Tensor, "batch token width"]:
    """The inverse of `split_heads` for one of its parts."""
    return read.transpose(1, 2).flatten(2)
