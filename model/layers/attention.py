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
from torch.utils.checkpoint import checkpoint

from model.layers.fused import LEAST_KEY_SUM, fused_attention, positive_features
from model.layers.precision import without_autocast

Kernel = Callable[[Tensor], Tensor]
"""From rows x (..., token) to x r, with r_ij the strength between tokens i and j."""


def astrocytic_features(
    projection: Float[Tensor, "head feature token"], kernel: Kernel
) -> Float[Tensor, "head token feature"]:
    """phi(R) with R = W^T (W r W^T) and `kernel(x)` = x r, in float32 at least.

    It depends on parameters alone, so one is enough for all segments of a step.
    """
    with without_autocast(projection):
        # Made again in backward: W r is as large as W.
        coupled = checkpoint(_coupled, projection, kernel, use_reentrant=False, preserve_rng_state=False)
        return positive_features(projection.mT @ coupled)


def _coupled(projection: Tensor, kernel: Kernel) -> Tensor:
    return kernel(projection) @ projection.mT


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

    The plain form of `model.layers.fused.fused_attention`, which the modules use. Both writes share the values, so they
    are one product: K^T V + phi(R)^T V = (K + phi(R))^T V.
    """
    rows = valid[:, None, :, None]
    key = key * rows
    plasticity = key.sum(dim=2, keepdim=True).clamp(min=LEAST_KEY_SUM).pow(exponent)
    normaliser = (query * plasticity).sum(dim=3, keepdim=True)
    if astrocytic is not None:
        key = key + astrocytic * rows
    memory = scale * (key.mT @ value.to(key.dtype))
    return (query @ memory / normaliser).to(value.dtype)


class RelativePositions(nn.Module):
    """phi(R) of `heads` heads over `tokens` rows, from learned W and the strength `kernel` between positions.

    `kernel` is one of `model.layers.positions`.
    """

    def __init__(self, width: int, heads: int, tokens: int, kernel: nn.Module):
        super().__init__()
        # Rows of W have unit length at the start, so R is of order one whatever the segment length.
        self.projection = nn.Parameter(torch.randn(heads, width // heads, tokens) / tokens**0.5)
        self.kernel = kernel

    def forward(self) -> Float[Tensor, "head token feature"]:
        """phi(R)."""
        return astrocytic_features(self.projection, self.kernel)


class Mixing(nn.Module):
    """What a block needs: tensors that all segments of a step share, and a way for one's rows to reach each other."""

    def shared(self) -> tuple[Tensor, ...]:
        """Tensors that depend on parameters alone, computed once per step; none unless a kind of mixing has some."""
        return ()

    def forward(
        self,
        rows: Float[Tensor, "batch token width"],
        valid: Bool[Tensor, "batch token"],
        shared: tuple[Tensor, ...],
        wanted: int,
    ) -> Float[Tensor, "batch wanted width"]:
        """What the first `wanted` rows take from all that are valid."""
        raise NotImplementedError


class Attention(Mixing):
    """Mixing by queries, keys and values of several heads."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(
        self,
        rows: Float[Tensor, "batch token width"],
        valid: Bool[Tensor, "batch token"],
        shared: tuple[Tensor, ...],
        wanted: int,
    ) -> Float[Tensor, "batch wanted width"]:
        """The first `wanted` rows attend to all that are valid; keys and values alone are made of the others."""
        query, key, value = self._project(rows, wanted)
        return self.project_out(join_heads(self.attend(query, key, value, valid, shared)))

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, valid: Tensor, shared: tuple[Tensor, ...]
    ) -> Float[Tensor, "batch head wanted feature"]:
        """What each query reads, all (batch, head, token, feature)."""
        raise NotImplementedError

    def _project(self, rows: Tensor, wanted: int) -> tuple[Tensor, Tensor, Tensor]:
        if wanted == rows.shape[1]:
            query, key, value = split_heads(self.project_in(rows), self.heads, 3)
            return query, key, value
        width = rows.shape[2]
        weights, biases = (part.split([width, 2 * width]) for part in (self.project_in.weight, self.project_in.bias))
        (query,) = split_heads(functional.linear(rows[:, :wanted], weights[0], biases[0]), self.heads, 1)
        key, value = split_heads(functional.linear(rows, weights[1], biases[1]), self.heads, 2)
        return query, key, value


class AstromorphicAttention(Attention):
    """RMAAT's attention, in O(token width^2); without positions and with exponent and scale 1 it is linear attention.

    `positions` is the astrocytes' part, or None to leave it out; `exponent` is alpha, a number or a parameter that is
    learned; `scale` multiplies what is written, by default 1 / features of a head.
    """

    exponent: Tensor

    def __init__(
        self,
        width: int,
        heads: int,
        positions: RelativePositions | None,
        exponent: float | nn.Parameter,
        scale: float | None = None,
    ):
        super().__init__(width, heads)
        self.scale = heads / width if scale is None else scale
        self.positions = positions
        if isinstance(exponent, nn.Parameter):
            self.exponent = exponent
        else:
            self.register_buffer("exponent", torch.tensor(exponent))

    def shared(self) -> tuple[Tensor, ...]:
        """phi(R), shape (head, token, feature), where there are positions."""
        return () if self.positions is None else (self.positions(),)

    @staticmethod
    def astrocytic(shared: tuple[Tensor, ...], first: int, count: int) -> Float[Tensor, "head count feature"] | None:
        """phi(R) of `count` rows from position `first` on: a segment may have fewer rows than there are positions."""
        return shared[0][:, first : first + count] if shared else None

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, valid: Tensor, shared: tuple[Tensor, ...]
    ) -> Float[Tensor, "batch head wanted feature"]:
        """Write all valid rows into one memory, and read it."""
        astrocytic = self.astrocytic(shared, 0, key.shape[2])
        return fused_attention(query, key, value, astrocytic, valid, self.exponent, self.scale)


class SoftmaxAttention(Attention):
    """Softmax attention for the Transformer and RMT baselines; costs O(token^2)."""

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        valid: Tensor,
        shared: tuple[Tensor, ...],  # noqa: ARG002
    ) -> Float[Tensor, "batch head wanted feature"]:
        """torch's fused softmax attention."""
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=valid[:, None, None, :])


def split_heads(
    rows: Float[Tensor, "batch token joined"], heads: int, parts: int
) -> tuple[Float[Tensor, "batch head token feature"], ...]:
    """The `parts` of one projection (query, key, value or some of them), each with its heads apart."""
    return rows.unflatten(-1, (parts, heads, -1)).permute(2, 0, 3, 1, 4).unbind()


def join_heads(read: Float[Tensor, "batch head token feature"]) -> Float[Tensor, "batch token width"]:
    """The inverse of `split_heads` for one of its parts."""
    return read.transpose(1, 2).flatten(2)
