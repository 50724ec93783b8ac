"""N-grams are those of the definition, and their probabilities sum to one."""

import math
from collections import Counter

import numpy as np
import pytest

from benchmarks.byte_levels import compressed_bits, ngram_bits

SYMBOLS = 3


def draw(documents, tokens=40):
    return np.random.default_rng(documents).integers(1, SYMBOLS + 1, (documents, tokens))


def grams(texts, order):
    """Every predicted token with its `order` predecessors, which are 0 before the document."""
    for text in texts.tolist():
        padded = [0] * order + text
        yield from (tuple(padded[place : place + order + 1]) for place in range(1, len(text)))


def kneser_ney(train, order):
    """The definition with dictionaries: a function from an n-gram to its probability."""
    counts = {order: Counter(grams(train, order))}
    for lower in range(order - 1, -1, -1):
        counts[lower] = Counter(gram[1:] for gram in counts[lower + 1])

    def probability(gram):
        if not gram:
            return 1 / 256
        of_order = counts[len(gram) - 1]
        once, twice = (sum(count == number for count in of_order.values()) for number in (1, 2))
        discount = once / (once + 2 * twice) if once else 0.5
        after = [count for other, count in of_order.items() if other[:-1] == gram[:-1]]
        if not after:
            return probability(gram[1:])
        rest = discount * len(after) * probability(gram[1:])
        return (max(of_order[gram] - discount, 0) + rest) / sum(after)

    return probability


@pytest.mark.parametrize("order", [0, 1, 2, 4])
def test_ngrams_are_those_of_the_definition(order):
    train, texts = draw(4), draw(3)
    texts[0, 7] = 200
    expected = [-math.log2(kneser_ney(train, order)(gram)) for gram in grams(texts, order)]
    np.testing.assert_allclose(ngram_bits(train, texts, order).ravel(), expected, rtol=1e-12)


@pytest.mark.parametrize("before", [[1, 2, 3], [3, 3, 3], [9, 9, 9]])
def test_the_probabilities_of_all_bytes_after_a_context_sum_to_one(before):
    texts = np.array([[*before, byte] for byte in range(1, 257)])
    bits = ngram_bits(draw(4), texts, 3)[:, -1]
    assert np.exp2(-bits).sum() == pytest.approx(1, abs=1e-12)


def test_an_order_whose_codes_would_overflow_is_refused():
    with pytest.raises(ValueError, match="order is 6"):
        ngram_bits(draw(1), draw(1), 6)


def test_a_compressor_that_has_seen_the_text_needs_almost_nothing_for_it():
    texts = np.random.default_rng(0).integers(1, 257, (20, 500))
    bits = compressed_bits(texts, texts)
    assert bits["gzip"] == pytest.approx(8, abs=0.1)
    assert bits["xz"] == pytest.approx(8, abs=0.2)
    assert bits["xz after the training texts"] < 0.3
