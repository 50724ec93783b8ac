"""Causal softmax attention: the decoder form of RMT, in which a token reads the memory, earlier tokens and itself.

The rows of a segment are [memory; tokens; memory]. The rows of each memory group read each other, and the group at the
end reads the whole segment. Source of the mask: RMT (arXiv 2207.06881) and its published code for Transformer-XL.
Without memory this is the attention of an ordinary decoder.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from model.layers.attention import SoftmaxAttention, join_heads, split_heads
from model.layers.mixing import CausalMixing, Shared


class Cached(NamedTuple):
    """Keys and values of the rows of a segment that a layer has read so far."""

    key: Float[Tensor, "batch head row feature"]
    value: Float[Tensor, "batch head row feature"]


class CausalSoftmaxAttention(SoftmaxAttention, CausalMixing):
    """Softmax attention over segments of `rows` rows, of which the first and the last `memory_tokens` are memory."""

    def __init__(self, width: int, heads: int, rows: int, memory_tokens: int):
        super().__init__(width, heads)
        self.rows, self.memory_tokens = rows, memory_tokens

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        valid: Tensor,
        shared: Shared,  # noqa: ARG002
    ) -> Float[Tensor, "batch head row feature"]:
        """Read of every row of a whole segment; see `Attention.attend`."""
        mask = self.readable(0, self.rows, valid.device) & valid[:, None, None, :]
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)

    def advance(
        self,
        rows: Float[Tensor, "batch row width"],
        valid: Bool[Tensor, "batch row"],  # noqa: ARG002 (a stream has no padding)
        shared: Shared,  # noqa: ARG002
        first: int,
        written: Cached | None,
    ) -> tuple[Float[Tensor, "batch row width"], Cached]:
        """Attention of the rows from position `first` on, after the rows `written`; and the keys and values of all."""
        query, key, value = split_heads(self.project_in(rows), self.heads, 3)
        if written is not None:
            key, value = (torch.cat(pair, dim=2) for pair in zip(written, (key, value), strict=True))
        mask = self.readable(first, rows.shape[1], rows.device)
        read = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.project_out(join_heads(read)), Cached(key, value)

    def readable(self, first: int, count: int, device: torch.device) -> Bool[Tensor, "count read"]:
        """Which of the first `first` + `count` rows each of the `count` rows from `first` on reads."""
        place = torch.arange(first, first + count, device=device)[:, None]
        other = torch.arange(first + count, device=device)
        in_front = (place < self.memory_tokens) & (other < self.memory_tokens)
        at_the_end = place >= self.rows - self.memory_tokens
        return (other <= place) | in_front | at_the_end
