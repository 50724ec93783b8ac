"""Causal attention: the form of RMAAT's attention in which a token reads itself and earlier tokens only.

Within a segment, H and g of `model.layers.attention` become sums over the tokens up to token n:

    H_n = scale sum_{i <= n} (K_i + phi(R)_i) V_i^T      g_n = (sum_{i <= n} K_i)^alpha      L_n = Q_n H_n / (Q_n . g_n)

phi(R) depends on parameters alone. It therefore carries nothing from later tokens to earlier ones. The causal form is
ours.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from model.layers.attention import AstromorphicAttention, join_heads, split_heads, without_count
from model.layers.fused import LEAST_KEY_SUM, positive_features
from model.layers.mixing import CausalMixing
from model.layers.precision import at_least_float32, without_autocast
from model.layers.rms_read import normalised

TOKENS_PER_BLOCK = 64
"""Within a block: one masked product. Between blocks: one memory."""


class Written(NamedTuple):
    """The sums H / scale and g^(1 / alpha) that a layer has accumulated so far in a segment."""

    memory: Float[Tensor, "batch head feature value"]
    key_sum: Float[Tensor, "batch head 1 feature"]


def causal_attention(
    query: Float[Tensor, "batch head token feature"],
    key: Float[Tensor, "batch head token feature"],
    value: Float[Tensor, "batch head token value"],
    astrocytic: Float[Tensor, "head token feature"] | None,
    valid: Bool[Tensor, "batch token"],
    exponent: Float[Tensor, ""],
    scale: float,
    written: Written | None = None,
) -> tuple[Float[Tensor, "batch head token value"], Written]:
    """Read of each token from itself, the tokens before it and `written`; and the sums after the last token.

    Costs O(token): it makes no (token, token) matrix and no memory per token. The arguments are those of
    `model.layers.fused.fused_attention`. `written` holds the sums of earlier tokens of the segment; None means zeros.
    """
    with without_autocast(query):
        features = positive_features(query)
        sums = _sums(features, key, value, astrocytic, valid, scale, written)
        plasticity = sums.key_sums.clamp(min=LEAST_KEY_SUM).pow(exponent)
        read = sums.read / (features * plasticity).sum(dim=3, keepdim=True).clamp(min=LEAST_KEY_SUM)
        return read.to(value.dtype), sums.written


def causal_rms_attention(
    query: Float[Tensor, "batch head token feature"],
    key: Float[Tensor, "batch head token feature"],
    value: Float[Tensor, "batch head token value"],
    astrocytic: Float[Tensor, "head token feature"] | None,
    valid: Bool[Tensor, "batch token"],
    scale: float,
    written: Written | None = None,
) -> tuple[Float[Tensor, "batch head token value"], Written]:
    """As `causal_attention`, with the RMS-normalised read of `model.layers.rms_read`."""
    with without_autocast(query):
        sums = _sums(positive_features(query), key, value, astrocytic, valid, scale, written)
        return normalised(sums.read).to(value.dtype), sums.written


class _Sums(NamedTuple):
    """Q_n H_n and sum_{i <= n} K_i of each token, and what is written after the last one."""

    read: Float[Tensor, "batch head token value"]
    key_sums: Float[Tensor, "batch head token feature"]
    written: Written


def _sums(
    features: Tensor,
    key: Tensor,
    value: Tensor,
    astrocytic: Tensor | None,
    valid: Tensor,
    scale: float,
    written: Written | None,
) -> _Sums:
    rows = valid[:, None, :, None]
    keys = positive_features(key) * rows
    traces = keys if astrocytic is None else keys + astrocytic * rows
    batch, heads, tokens, size = keys.shape
    before = written or Written(
        keys.new_zeros(batch, heads, size, value.shape[3]), keys.new_zeros(batch, heads, 1, size)
    )
    key_sums = before.key_sum + keys.cumsum(dim=2)
    asked, traces, values = (_blocks(x) for x in (features, scale * traces, at_least_float32(value)))
    # A block reads the H at the end of the block before it, and its own tokens by a masked product.
    memories = before.memory[:, :, None] + (traces.mT @ values).cumsum(dim=2)
    earlier = torch.cat([before.memory[:, :, None], memories[:, :, :-1]], dim=2)
    read = asked @ earlier + (asked @ traces.mT).tril() @ values
    return _Sums(read.flatten(2, 3)[:, :, :tokens], key_sums, Written(memories[:, :, -1], key_sums[:, :, -1:]))


def _blocks(x: Tensor) -> Tensor:
    """(batch, head, token, feature) as (batch, head, block, token, feature), padded with zeros, which write nothing."""
    size = min(TOKENS_PER_BLOCK, x.shape[2])
    return functional.pad(x, (0, 0, 0, -x.shape[2] % size)).unflatten(2, (-1, size))


class CausalAttention(AstromorphicAttention, CausalMixing):
    """Astromorphic or linear attention in which a row reads itself and earlier rows only."""

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, valid: Tensor, shared: tuple[Tensor, ...]
    ) -> Float[Tensor, "batch head token value"]:
        """Read of every row of a whole segment; see `Attention.attend`."""
        return self._attend(query, key, value, valid, self.astrocytic(shared, 0, key.shape[2]), 0, None)[0]

    def advance(
        self,
        rows: Float[Tensor, "batch token width"],
        valid: Bool[Tensor, "batch token"],
        shared: tuple[Tensor, ...],
        first: int,
        written: Written | None,
    ) -> tuple[Float[Tensor, "batch token width"], Written]:
        """Attention of the rows from position `first` on, after the rows that gave `written`; and the new sums."""
        query, key, value = split_heads(self.project_in(rows), self.heads, 3)
        astrocytic = self.astrocytic(shared, first, rows.shape[1])
        read, written = self._attend(query, key, value, valid, astrocytic, first, written)
        return self.project_out(join_heads(read)), written

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        valid: Tensor,
        astrocytic: Tensor | None,
        first: int,
        written: Written | None,
    ) -> tuple[Tensor, Written]:
        if self.read == "rms":
            return causal_rms_attention(query, key, value, astrocytic, valid, self.scale, written)
        exponent = self.exponent_of_segment()
        read, written = causal_attention(query, key, value, astrocytic, valid, exponent, self.scale, written)
        if self.count == "normalised":
            # All `first` rows before these have written: a stream has no padding.
            read = without_count(read, first + valid.cumsum(dim=1), exponent)
        return read, written
