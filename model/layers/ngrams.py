"""Rows of tokens with hashed embeddings of the n-grams that end at them.

    x_i = E[t_i] + sum_n G[h_n(t_{i-n+1} .. t_i) mod B]        n = each of `lengths`

h_n is a polynomial of the token ids in 64-bit arithmetic, mixed by one odd factor per length; B is the number of rows
of G. Different n-grams may share a row of G. Ids before the segment count as zero, so a segment needs no other one.

A block mixes rows, but the feed-forward part of a small model tells few patterns of several tokens apart. A table of
n-grams knows thousands, at the cost of a lookup. Source: the hash embeddings of the Byte Latent Transformer
(arXiv 2412.09871, section 3.2), and before it fastText (arXiv 1607.04606).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

BASE = 0x100000001B3
"""Of the polynomial: the odd 64-bit factor of the FNV hash, far above every vocabulary."""
MIXER = 0x9E3779B97F4A7C15 - 2**64
"""2^64 over the golden ratio, as a signed number. Its multiple spreads the sum over the upper bits."""
INITIAL_SCALE = 0.1
"""Standard deviation of G before training, a tenth of that of E: rare n-grams start as little more than their token."""


class NgramEmbedding(nn.Module):
    """Embedding of `vocabulary` token ids, plus embeddings of n-grams of each of `lengths` in `buckets` hashed rows."""

    def __init__(self, vocabulary: int, width: int, lengths: Sequence[int], buckets: int):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.ngrams = nn.Embedding(buckets, width)
        nn.init.normal_(self.ngrams.weight, std=INITIAL_SCALE)
        self.lengths, self.buckets = tuple(sorted(lengths)), buckets

    def forward(self, tokens: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token width"]:
        """Rows of the token ids."""
        indices = torch.stack(hashed_ngrams(tokens, self.lengths, self.buckets), dim=-1)
        # One lookup for all lengths: several would add up the gradient of a replay in another order than that of BPTT.
        sums = functional.embedding_bag(indices.flatten(end_dim=1), self.ngrams.weight, mode="sum")
        return self.tokens(tokens) + sums.view(*tokens.shape, -1)


def hashed_ngrams(
    tokens: Int[Tensor, "batch token"], lengths: Sequence[int], buckets: int
) -> list[Int[Tensor, "batch token"]]:
    """For each of the ascending `lengths` n, the row 0 .. `buckets` - 1 of the n-gram that ends at each token."""
    # Products overflow on purpose: int64 wraps around on every device.
    current = tokens.long()
    earlier, total, found = current, torch.zeros_like(current), []
    reach = 0
    for order, length in enumerate(lengths):
        while reach < length:
            total = total * BASE + earlier
            earlier, reach = functional.pad(earlier, (1, 0))[:, :-1], reach + 1
        found.append(hashed(total + order, buckets))
    return found


def hashed(totals: Tensor, buckets: int) -> Tensor:
    """Numbers 0 .. `buckets` - 1 of the polynomials `totals`, integers of 64 bits."""
    # The upper 31 bits as a number that is not negative.
    return ((totals * MIXER >> 33) & (2**31 - 1)) % buckets
