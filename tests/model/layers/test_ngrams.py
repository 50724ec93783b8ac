"""Hashed embeddings of n-grams: against a hash in whole numbers of any size, one token at a time."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.layers.ngrams import BASE, MIXER, NgramEmbedding, hashed_ngrams
from model.networks.parameters import ModelParameters
from rmaat.base.records import ParameterError


def by_hand(tokens: list[int], end: int, length: int, order: int, buckets: int) -> int:
    """The row of the n-gram that ends at `end`, in Python's whole numbers modulo 2^64."""
    total = 0
    for distance in range(length):
        total = total * BASE + (tokens[end - distance] if distance <= end else 0)
    return ((total + order) * MIXER % 2**64 >> 33) % buckets


@given(
    st.lists(st.integers(0, 2**16), min_size=1, max_size=12),
    st.lists(st.integers(2, 6), min_size=1, max_size=3, unique=True).map(sorted),
    st.integers(1, 2**20),
)
def test_each_row_is_the_polynomial_of_the_ids_that_end_there(tokens, lengths, buckets):
    found = hashed_ngrams(torch.tensor([tokens]), lengths, buckets)
    assert [row[0].tolist() for row in found] == [
        [by_hand(tokens, end, length, order, buckets) for end in range(len(tokens))]
        for order, length in enumerate(lengths)
    ]


def test_ids_of_32_bits_give_the_same_rows_as_ids_of_64():
    tokens = torch.randint(0, 257, (3, 20), generator=torch.Generator().manual_seed(0))
    narrow, wide = (hashed_ngrams(tokens.to(kind), (2, 5), 1000) for kind in (torch.int32, torch.int64))
    assert all(map(torch.equal, narrow, wide))


def test_different_ngrams_spread_over_all_rows_alike():
    pairs = torch.cartesian_prod(torch.arange(1, 257), torch.arange(1, 257))
    (rows,) = hashed_ngrams(pairs, (2,), 64)
    counts = torch.bincount(rows[:, 1], minlength=64)
    # 1,024 pairs a row on average, with a standard deviation of 32.
    assert counts.min() > 850
    assert counts.max() < 1200


def test_a_row_is_the_embedding_of_the_token_plus_those_of_its_ngrams():
    torch.manual_seed(0)
    embedding = NgramEmbedding(20, 4, (3, 2), 30)
    tokens = torch.randint(0, 20, (2, 7))
    two, three = hashed_ngrams(tokens, (2, 3), 30)
    expected = embedding.tokens(tokens) + embedding.ngrams(two) + embedding.ngrams(three)
    torch.testing.assert_close(embedding(tokens), expected)


def test_no_row_depends_on_a_later_token():
    torch.manual_seed(0)
    embedding = NgramEmbedding(20, 4, (2, 5), 30)
    tokens = torch.randint(0, 20, (2, 9))
    assert torch.equal(embedding(tokens)[:, :6], embedding(tokens[:, :6]))


def test_continuous_pixels_have_no_ngrams():
    with pytest.raises(ParameterError, match="n-grams are of token ids"):
        ModelParameters(pixels="continuous", vocabulary=257, ngrams=(2,))
