"""Bits per byte of texts without a neural network: n-grams with Kneser-Ney smoothing, and compressors.

All functions take token ids (document, token), bytes plus one. As language models do, n-grams predict every token of a
document but its first, from the earlier tokens of the same document.
"""

import lzma
import zlib
from dataclasses import dataclass

import numpy as np

IDS = 257
"""Token ids: 0, which fills the context before a document, and a byte each."""
DICTIONARY = 2**26
"""Bytes that xz looks back; the training texts fit into them."""


@dataclass(frozen=True)
class _Counts:
    """Counts of the n-grams of one order, sorted by code."""

    grams: np.ndarray
    counts: np.ndarray
    contexts: np.ndarray
    totals: np.ndarray
    """sum of the counts after each context"""
    kinds: np.ndarray
    """number of different symbols after each context"""
    discount: float


def ngram_bits(train: np.ndarray, texts: np.ndarray, order: int) -> np.ndarray:
    """Bits of each predicted byte of `texts` from its `order` predecessors, shape (document, token - 1).

    Interpolated Kneser-Ney smoothing with one discount per order, n1 / (n1 + 2 n2), counted on `train`. Source: Chen
    and Goodman, An empirical study of smoothing techniques for language modeling (1999).
    """
    if not 0 <= order <= 5:
        raise ValueError(f"order is {order}; codes of 64 bits hold 0 to 5 predecessors")
    codes = _codes(texts, order)
    probability = np.full(codes.shape, 1 / (IDS - 1))
    for place, counts in enumerate(_all_counts(_codes(train, order).ravel(), order)):
        gram = codes % IDS ** (place + 1)
        count = _look_up(counts.grams, counts.counts, gram)
        total = _look_up(counts.contexts, counts.totals, gram // IDS)
        kinds = _look_up(counts.contexts, counts.kinds, gram // IDS)
        discounted = np.maximum(count - counts.discount, 0) + counts.discount * kinds * probability
        probability = np.where(total > 0, discounted / np.maximum(total, 1), probability)
    return -np.log2(probability)


def compressed_bits(train: np.ndarray, texts: np.ndarray) -> dict[str, float]:
    """Bits per byte of `texts` in one piece: by gzip, by xz, and by xz after the training texts."""
    before, text = (np.asarray(part - 1, dtype=np.uint8).tobytes() for part in (train, texts))
    sizes = {
        "gzip": len(zlib.compress(text, 9)),
        "xz": len(_xz(text)),
        "xz after the training texts": len(_xz(before + text)) - len(_xz(before)),
    }
    return {name: 8 * size / len(text) for name, size in sizes.items()}


def _xz(text: bytes) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": DICTIONARY}]
    return lzma.compress(text, lzma.FORMAT_XZ, filters=filters)


def _codes(texts: np.ndarray, order: int) -> np.ndarray:
    """Each predicted token with its `order` predecessors as one integer, the token itself in the lowest place."""
    padded = np.pad(texts.astype(np.int64), ((0, 0), (order, 0)))
    predicted = texts.shape[1] - 1
    parts = [padded[:, order + 1 - back : order + 1 - back + predicted] * IDS**back for back in range(order + 1)]
    return np.sum(parts, axis=0)


def _all_counts(codes: np.ndarray, order: int) -> list[_Counts]:
    """Counts of every order from 0 on; a lower order counts the different predecessors of its n-grams."""
    found = []
    for place in range(order, -1, -1):
        grams, counts = np.unique(codes, return_counts=True)
        contexts, starts, kinds = np.unique(grams // IDS, return_index=True, return_counts=True)
        once, twice = np.sum(counts == 1), np.sum(counts == 2)
        # Without n-grams seen once there is nothing to estimate the discount from.
        discount = float(once / (once + 2 * twice)) if once else 0.5
        found.append(_Counts(grams, counts, contexts, np.add.reduceat(counts, starts), kinds, discount))
        codes = grams % IDS**place
    return found[::-1]


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The value of each wanted key, 0 for an unknown one; `keys` are sorted."""
    places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)
