"""Sequences are cut to what a model reads; of a pair, both documents are cut alike."""

import dataclasses

import numpy as np
import pytest

from model.tasks.data.dataset import SPLITS, TaskData, TaskError, TokenDataset
from model.tasks.data.encoding import PAIR_SYMBOLS, SEPARATOR, join_pair
from model.tasks.data.shortening import shorten, shorten_documents


def of_sequences(sequences, separator=None):
    dataset = TokenDataset.from_sequences(sequences, [index % 2 for index in range(len(sequences))])
    return TaskData("Any", "test", PAIR_SYMBOLS, 2, **dict.fromkeys(SPLITS, dataset), separator=separator)


def sequences_of(task):
    return [task.test.sequence(index).tobytes() for index in range(len(task.test))]


def test_a_sequence_is_cut_to_its_first_tokens_and_a_short_one_stays():
    task = shorten(of_sequences([b"abcdef", b"xy", b"uvwx"]), 4)
    assert sequences_of(task) == [b"abcd", b"xy", b"uvwx"]
    assert task.test.labels.tolist() == [0, 1, 0]
    assert task.longest == 4


@pytest.mark.parametrize(
    ("longest", "first", "second"),
    [(9, b"abcd", b"uvwx"), (8, b"abc", b"uvw"), (5, b"ab", b"uv"), (100, b"abcde", b"uvwxyz")],
)
def test_a_pair_keeps_the_beginnings_of_both_documents_within_the_length(longest, first, second):
    task = shorten(of_sequences([join_pair(b"abcde", b"uvwxyz")] * 2, SEPARATOR), longest)
    assert sequences_of(task) == [join_pair(first, second)] * 2
    assert task.longest <= longest


def test_documents_that_are_encoded_apart_have_the_length_each():
    task = shorten_documents(of_sequences([join_pair(b"abcde", b"uv")], SEPARATOR), 3)
    assert sequences_of(task) == [join_pair(b"abc", b"uv")]
    with pytest.raises(TaskError, match="one document, not two"):
        shorten_documents(of_sequences([b"ab"]), 3)


def test_larger_vocabularies_keep_their_type():
    task = of_sequences([b"abcdef"])
    wide = TokenDataset(task.test.tokens.astype(np.uint16), task.test.offsets, task.test.labels)
    task = dataclasses.replace(task, **dict.fromkeys(SPLITS, wide))
    assert shorten(task, 2).test.tokens.dtype == np.uint16
