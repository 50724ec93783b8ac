"""Attention over the rows of one segment: astromorphic (RMAAT), linear and softmax.

Per head, with phi(x) = elu(x) + 1, features K = phi(X W_K), Q = phi(X W_Q) and values V = X W_V:

    write   H = scale (K^T V + phi(R)^T V)      neuronal and astrocytic Hebbian traces    (feature, value)
            g = (sum_n K_n)^alpha               presynaptic plasticity                    (feature)
    read    L_n = Q_n H / (Q_n . g)                                                       (token, value)
    where   R = W^T (W r W^T),  r_ij = exp(-decay |i - j|)                                (token, feature)

`astromorphic_attention` is this in plain form, the specification. The modules compute it with
`model.layers.fused.fused_attention`, which gives the same numbers and saves less for backward.
`model.layers.causal` has the causal form.

H grows with the number N of valid rows and g with N^alpha, so the read grows as N^(1 - alpha). The option `normalised`
takes means over the rows in place of sums: the read is then N^(alpha - 1) L_n (`without_count`).

Source: RMAAT (arXiv 2601.00426) section 3 and its parent AT (arXiv 2312.10925). The paper writes the read as `H o P`,
whose shapes do not fit; the division per token is AT's. `scale` is ours: AT divides by m = 500, which leaves attention
without effect beside the residual. With alpha = 1, scale = 1 and no phi(R), this is linear attention (Katharopoulos et
al. 2020).
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from model.layers.fused import LEAST_KEY_SUM, fused_attention, positive_features
from model.layers.mixing import Mixing, Rows, Shared, SummedMixing, Valid, WantedRows
from model.layers.precision import at_least_float32, without_autocast
from model.layers.rms_read import fused_rms_attention, normalised

Kernel = Callable[[Tensor], Tensor]
"""From rows x (..., token) to x r, with r_ij the strength between tokens i and j."""


def astromorphic_attention(
    query: Float[Tensor, "batch head read feature"],
    key: Float[Tensor, "batch head token feature"],
    value: Float[Tensor, "batch head token value"],
    astrocytic: Float[Tensor, "head token feature"] | None,
    valid: Bool[Tensor, "batch token"],
    exponent: Float[Tensor, ""],
    scale: float,
) -> Float[Tensor, "batch head read value"]:
    """Write and read of astromorphic attention in plain form, in O(token).

    `query` and `key` are features Q and K; `astrocytic` is phi(R), or None to leave it out; `exponent` is alpha. Tokens
    that are not `valid` write nothing. `model.layers.fused.fused_attention` is the fast form; it takes Q and K before
    phi.
    """
    rows = valid[:, None, :, None]
    # Write: H and g. Both traces are written with the same values: K^T V + phi(R)^T V = (K + phi(R))^T V.
    key = key * rows
    plasticity = key.sum(dim=2, keepdim=True).clamp(min=LEAST_KEY_SUM).pow(exponent)
    traces = key if astrocytic is None else key + astrocytic * rows
    memory = scale * (traces.mT @ value.to(key.dtype))
    # Read: L_n.
    normaliser = (query * plasticity).sum(dim=3, keepdim=True).clamp(min=LEAST_KEY_SUM)
    return (query @ memory / normaliser).to(value.dtype)


def astrocytic_features(
    projection: Float[Tensor, "head feature token"], kernel: Kernel
) -> Float[Tensor, "head token feature"]:
    """phi(R) with R = W^T (W r W^T) and `kernel(x)` = x r, in float32 or float64.

    It depends on parameters alone, so it is computed once per step for all segments.
    """
    with without_autocast(projection):
        return positive_features(projection.mT @ coupled_features(projection, kernel))


def coupled_features(
    projection: Float[Tensor, "head feature token"], kernel: Kernel
) -> Float[Tensor, "head feature feature"]:
    """W r W^T, as `astrocytic_features`."""
    # Recompute W r in backward: it is as large as W.
    return checkpoint(_coupled, projection, kernel, use_reentrant=False, preserve_rng_state=False)


def _coupled(projection: Tensor, kernel: Kernel) -> Tensor:
    return kernel(projection) @ projection.mT


class RelativePositions(nn.Module):
    """phi(R) of `heads` heads over `tokens` rows, from learned W and the strength `kernel` between positions.

    `kernel` is one of the modules of `model.layers.positions`.
    """

    def __init__(self, width: int, heads: int, tokens: int, kernel: nn.Module):
        super().__init__()
        # Rows of W start with unit length, so that R is of order one for any segment length.
        self.projection = nn.Parameter(torch.randn(heads, width // heads, tokens) / tokens**0.5)
        self.kernel = kernel

    def forward(self) -> Float[Tensor, "head token feature"]:
        """phi(R)."""
        return astrocytic_features(self.projection, self.kernel)

    def factors(self) -> tuple[Float[Tensor, "head token feature"], Float[Tensor, "head feature feature"]]:
        """W^T and W r W^T, of which phi(R) of some tokens can be made."""
        with without_autocast(self.projection):
            return self.projection.mT, coupled_features(self.projection, self.kernel)


class Attention(Mixing):
    """Mixing by queries, keys and values in several heads; a kind of attention defines `attend`.

    It returns the joined and projected outputs of the heads; the residual is added by the block.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, rows: Rows, valid: Valid, shared: Shared, wanted: int) -> WantedRows:
        """As `Mixing.forward`; queries are computed for the wanted rows only."""
        query, key, value = self._project(rows, wanted)
        return self.project_out(join_heads(self.attend(query, key, value, valid, shared)))

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, valid: Tensor, shared: Shared
    ) -> Float[Tensor, "batch head wanted feature"]:
        """What each query reads from the keys and values of valid rows, all (batch, head, token, feature)."""
        raise NotImplementedError

    def _project(self, rows: Tensor, wanted: int) -> tuple[Tensor, Tensor, Tensor]:
        if wanted == rows.shape[1]:
            query, key, value = split_heads(self.project_in(rows), self.heads, 3)
            return query, key, value
        return self._query(rows[:, :wanted]), *self._key_value(rows)

    def _query(self, rows: Tensor) -> Tensor:
        weight, bias = self._parts_of_projection()[0]
        return split_heads(functional.linear(rows, weight, bias), self.heads, 1)[0]

    def _key_value(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        weight, bias = self._parts_of_projection()[1]
        key, value = split_heads(functional.linear(rows, weight, bias), self.heads, 2)
        return key, value

    def _parts_of_projection(self) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of the queries, and of keys and values."""
        width = self.project_in.in_features
        weights, biases = (part.split([width, 2 * width]) for part in (self.project_in.weight, self.project_in.bias))
        return list(zip(weights, biases, strict=True))


class AstromorphicAttention(Attention, SummedMixing):
    """RMAAT's attention, in O(token width^2). Without positions and with exponent and scale 1 it is linear attention.

    `positions` is the astrocytic part phi(R), or None to leave it out; `exponent` is alpha, a number or a learned
    parameter; `scale` multiplies the write, by default 1 / features per head. `read` is "divided" (by Q . g), or "rms"
    as in `model.layers.rms_read`. `count` is "rows" or "normalised" (`without_count`).
    """

    exponent: Tensor

    def __init__(
        self,
        width: int,
        heads: int,
        positions: RelativePositions | None,
        exponent: float | nn.Parameter,
        scale: float | None = None,
        read: str = "divided",
        count: str = "rows",
    ):
        super().__init__(width, heads)
        self.read, self.count = read, count
        self.scale = heads / width if scale is None else scale
        self.positions = positions
        if isinstance(exponent, nn.Parameter):
            self.exponent = exponent
        else:
            self.register_buffer("exponent", torch.tensor(exponent))

    def shared(self) -> Shared:
        """(phi(R),) of shape (head, token, feature); () without positions."""
        return () if self.positions is None else (self.positions(),)

    @staticmethod
    def astrocytic(shared: Shared, first: int, count: int) -> Float[Tensor, "head count feature"] | None:
        """phi(R) of `count` rows from position `first` on: a segment may have fewer rows than there are positions."""
        return shared[0][:, first : first + count] if shared else None

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, valid: Tensor, shared: Shared
    ) -> Float[Tensor, "batch head wanted feature"]:
        """`astromorphic_attention`, computed by its fast form; or its RMS-normalised read."""
        astrocytic = self.astrocytic(shared, 0, key.shape[2])
        if self.read == "rms":
            return fused_rms_attention(query, key, value, astrocytic, valid, self.scale)
        exponent = self.exponent_of_segment()
        read = fused_attention(query, key, value, astrocytic, valid, exponent, self.scale)
        if self.count == "normalised":
            return without_count(read, valid.sum(dim=1, keepdim=True), exponent)
        return read

    def shared_by_row(self) -> Shared:
        """(W^T, W r W^T); () without positions. phi(R) itself would be as large as the rows of a segment."""
        return () if self.positions is None else self.positions.factors()

    def write(self, rows: Rows, valid: Valid, shared: Shared) -> tuple[Tensor, ...]:
        """H / scale and g^(1 / alpha) of some rows, as `SummedMixing.write`; H / scale alone for the read "rms"."""
        key, value = self._key_value(rows)
        with without_autocast(rows):
            mask = valid[:, None, :, None]
            traces = positive_features(key) * mask
            key_sum = traces.sum(dim=2, keepdim=True)
            if shared:
                projection, coupled = shared
                traces = traces + positive_features(projection @ coupled) * mask
            memory = traces.mT @ at_least_float32(value)
        return (memory,) if self.read == "rms" else (memory, key_sum)

    def read_sums(self, rows: Rows, sums: tuple[Tensor, ...], valid: Bool[Tensor, "batch row"]) -> Rows:
        """The read of some rows in plain form, as `SummedMixing.read_sums`."""
        query = self._query(rows)
        with without_autocast(rows):
            features = positive_features(query)
            read = features @ (self.scale * sums[0])
            if self.read == "rms":
                read = normalised(read)
            else:
                plasticity = sums[1].clamp(min=LEAST_KEY_SUM).pow(self.exponent)
                read = read / (features @ plasticity.mT).clamp(min=LEAST_KEY_SUM)
        read = read.to(query.dtype)
        if self.read == "divided" and self.count == "normalised":
            read = without_count(read, valid.sum(dim=1, keepdim=True), self.exponent)
        return self.project_out(join_heads(read))

    def exponent_of_segment(self) -> Float[Tensor, ""]:
        """The exponent as one node per segment.

        The gradients of its two uses are summed there first, as replay sums them: otherwise their order, and so the
        last bit, would differ from BPTT's.
        """
        return self.exponent.view_as(self.exponent)


class SoftmaxAttention(Attention):
    """Softmax attention for the Transformer and RMT baselines, in O(token^2)."""

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        valid: Tensor,
        shared: Shared,  # noqa: ARG002
    ) -> Float[Tensor, "batch head wanted feature"]:
        """torch's fused softmax attention."""
        mask = valid[:, None, None, :]
        if query.is_meta:
            # On its own torch takes the plain form there, whose cost `rmaat plan --launches` would count.
            return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(query, key, value, attn_mask=mask)[0]
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def without_count(
    read: Float[Tensor, "batch head read value"], counts: Int[Tensor, "batch #read"], exponent: Float[Tensor, ""]
) -> Float[Tensor, "batch head read value"]:
    """The read with means in place of sums over the `counts` rows that wrote (one number per sample, or per row).

    H / N and (sum_n K_n / N)^alpha in place of H and g multiply the read by N^(alpha - 1), which does not touch the
    fused form. Ours.
    """
    factor = counts.clamp(min=1).to(exponent.dtype).pow(exponent - 1)
    return read * factor[:, None, :, None].to(read.dtype)


def split_heads(
    rows: Float[Tensor, "batch token joined"], heads: int, parts: int
) -> tuple[Float[Tensor, "batch head token feature"], ...]:
    """Split the features of one projection into its `parts` (such as query, key, value), and each part into heads."""
    return rows.unflatten(-1, (parts, heads, -1)).permute(2, 0, 3, 1, 4).unbind()


def join_heads(read: Float[Tensor, "batch head token feature"]) -> Float[Tensor, "batch token width"]:
    """Join the heads of one part: the inverse of `split_heads`."""
    return read.transpose(1, 2).flatten(2)
