"""Rows of bytes with hashed embeddings of the words that end before them.

    x_i = rows_i + s W[1 + h(t_j .. t_{i-1}) mod (B - 1)]      if the word t_j .. t_{i-1} ends before byte i
    x_i = rows_i                                               if no word does

A word is a run of letters, digits, apostrophes and bytes above 127. Capitals count as small letters. h is a polynomial
in 64-bit arithmetic, as for n-grams (`model.layers.ngrams`), and B the number of rows of W. Different words may share a
row. The edge of a segment cuts a word into two, so a segment needs no other one.

Most words are rare, and AdamW moves a row by about the learning rate each time its word is seen. The factor s makes
that a large step, while W begins small: a word starts as next to nothing, and counts after it was seen a few times.
Without the factor the bytes hide the words.

Bytes are ids of `model.tasks.data.encoding`: byte b is b + 1, and 0 is padding.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from model.layers.ngrams import BASE, hashed

_INVERSE = pow(BASE, -1, 2**64) - 2**64
"""BASE times it is 1 modulo 2^64."""
SCALE, INITIAL = 100.0, 0.001
"""The factor s, and the standard deviation of W before training."""


class WordEmbedding(nn.Module):
    """The rows of the module `rows`, plus embeddings of words in `buckets` hashed rows, of which row 0 stays zero."""

    def __init__(self, rows: nn.Module, width: int, buckets: int):
        super().__init__()
        self.rows, self.buckets = rows, buckets
        self.words = nn.Embedding(buckets, width, padding_idx=0)
        with torch.no_grad():
            self.words.weight *= INITIAL

    def forward(self, tokens: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token width"]:
        """Rows of the token ids."""
        return self.rows(tokens) + SCALE * self.words(hashed_words(tokens, self.buckets))


def hashed_words(tokens: Int[Tensor, "batch token"], buckets: int) -> Int[Tensor, "batch token"]:
    """The row 1 .. `buckets` - 1 of the word that ends before each token; 0 where none does."""
    count, device = tokens.shape[1], tokens.device
    letters = torch.tensor(_LETTERS, device=device)[tokens]
    # Sums of letter_i / BASE^i modulo 2^64; the difference of two, times a power of BASE, is the polynomial of a word.
    sums = functional.pad((letters * _powers(_INVERSE, count, device)).cumsum(dim=1), (1, 0))[:, :-1]
    places = torch.arange(count, device=device)
    gaps = letters == 0
    first = functional.pad(torch.where(gaps, places + 1, 0).cummax(dim=1).values, (1, 0))[:, :-1]
    total = (sums - sums.gather(1, first)) * _powers(BASE, count, device)
    return torch.where(gaps & (first < places), 1 + hashed(total, buckets - 1), 0)


def _powers(base: int, count: int, device: torch.device) -> Int[Tensor, " token"]:
    """`base` to the powers 0 .. `count` - 1, modulo 2^64."""
    factors = torch.full((count,), base, device=device)
    factors[0] = 1
    return factors.cumprod(0)


def _letter(token: int) -> int:
    """A number for each letter of words, the same for a capital; 0 for other bytes and for padding."""
    byte = token - 1
    if byte > 127:
        return token
    letter = chr(max(byte, 0)).lower()
    return 1 + ord(letter) if letter.isalnum() or letter == "'" else 0


_LETTERS = tuple(map(_letter, range(257)))
