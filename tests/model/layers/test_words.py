"""Hashed embeddings of words: against words that Python finds, one text at a time."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ModelError
from model.layers.ngrams import BASE, MIXER
from model.layers.words import SCALE, WordEmbedding, hashed_words
from model.memory.differentiation import Amrb, Bptt, LayerwiseAmrb
from model.networks.parameters import ModelParameters
from rmaat.base.records import ParameterError

BUCKETS = 1000
TEXT = b"The CAT's hat, the cat's  HAT42. Caf\xc3\xa9? the"


def ids(text: bytes) -> torch.Tensor:
    return torch.tensor([[byte + 1 for byte in text]])


def row_of(word: bytes, buckets: int) -> int:
    """The row of a word in Python's whole numbers; the first letter has the highest power."""
    total = 0
    for letter in word.lower():
        total = (total + letter + 1) * BASE
    return 1 + (total * MIXER % 2**64 >> 33) % (buckets - 1)


@given(st.binary(min_size=1, max_size=40) | st.text("aB'9 .é", min_size=1).map(str.encode), st.integers(2, 2**20))
def test_the_byte_after_a_word_has_its_row(text, buckets):
    expected = [0] * len(text)
    for word in re.finditer(rb"[0-9A-Za-z'\x80-\xff]+", text):
        if word.end() < len(text):
            expected[word.end()] = row_of(word[0], buckets)
    assert hashed_words(ids(text), buckets)[0].tolist() == expected


def test_a_word_has_one_row_wherever_it_stands_and_however_it_is_capitalised():
    rows = hashed_words(ids(TEXT), BUCKETS)[0]
    ends = {TEXT.index(word) + len(word): word.lower() for word in (b"The", b"CAT's", b"hat", b"HAT42", b"Caf\xc3\xa9")}
    assert rows[3] == rows[18]
    assert rows[9] == rows[24] != rows[3]
    assert len({int(rows[end]) for end in ends}) == len(ends)
    # The last word ends with the text, so no byte follows it.
    assert rows.count_nonzero() == 7


def test_padding_ends_a_word_and_has_none():
    padded = torch.cat([ids(b"one two"), torch.zeros((1, 3), dtype=torch.long)], dim=1)
    assert hashed_words(padded, BUCKETS)[0, 8:].tolist() == [0, 0]
    assert torch.equal(hashed_words(padded, BUCKETS)[:, :7], hashed_words(ids(b"one two"), BUCKETS))


def test_ids_of_32_bits_give_the_same_rows_as_ids_of_64():
    assert torch.equal(hashed_words(ids(TEXT).int(), BUCKETS), hashed_words(ids(TEXT), BUCKETS))


def test_a_row_is_that_of_the_byte_plus_that_of_the_word_before_it():
    torch.manual_seed(0)
    embedding = WordEmbedding(torch.nn.Embedding(257, 4), 4, 50)
    found = embedding(ids(TEXT)) - embedding.rows(ids(TEXT))
    expected = SCALE * embedding.words.weight[hashed_words(ids(TEXT), 50)]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert not embedding.words.weight[0].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("way", [Amrb(), LayerwiseAmrb()], ids=["amrb", "layerwise"])
def test_replay_has_the_bits_of_bptt(make_model, dtype, way):
    tokens = torch.cat([ids(TEXT), ids(TEXT[::-1])])
    gradients = []
    for method in (Bptt(), way):
        model = make_model(dtype, vocabulary=257, word_buckets=50, dropout=0.1, segments=5).train()
        torch.manual_seed(3)
        model(tokens, torch.tensor([tokens.shape[1], 20]), method).square().sum().backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters()})
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])
    words = gradients[0]["cell.embedding.words.weight"]
    assert words[1:].any()
    assert not words[0].any()


def test_words_need_bytes():
    for changes in ({"vocabulary": 16}, {"vocabulary": 257, "pixels": "continuous"}):
        with pytest.raises(ParameterError, match="are not the bytes of a text"):
            ModelParameters.from_dict({"word_buckets": 50} | changes)
    with pytest.raises(ParameterError, match="leaves no row for a word"):
        ModelParameters(vocabulary=257, word_buckets=1)


def test_a_language_model_has_no_words(make_language_model):
    with pytest.raises(ModelError, match="set word_buckets to 0"):
        make_language_model(vocabulary=257, word_buckets=50)
