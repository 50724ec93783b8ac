import numpy as np
import pytest

from model.tasks.data.dataset import TaskData, TaskError, TokenDataset

SYMBOLS = ("", "a", "b", "c")


def dataset(sequences=(b"\1\2", b"\3", b"\1\1\2"), labels=(0, 1, 1)) -> TokenDataset:
    return TokenDataset.from_sequences(list(sequences), list(labels))


def task(**changes) -> TaskData:
    fields = {"name": "letters", "origin": "made here", "symbols": SYMBOLS, "classes": 2}
    splits = {"train": dataset(), "validation": dataset([b"\3"], [0]), "test": dataset([b"\2\2", b"\1"], [1, 0])}
    return TaskData(**{**fields, **splits, **changes})


def test_sequences_come_back_one_by_one():
    data = dataset()
    assert len(data) == 3
    assert [data.sequence(index).tolist() for index in range(3)] == [[1, 2], [3], [1, 1, 2]]
    assert data.lengths.tolist() == [2, 1, 3]
    assert data.first_tokens.tolist() == [1, 3, 1]
    assert data.labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize("index", [-1, 3])
def test_an_index_outside_the_dataset_is_refused(index):
    with pytest.raises(IndexError, match=f"sequence {index} of 3"):
        dataset().sequence(index)


TOKENS = np.array([1, 2, 3], dtype=np.uint8)
OFFSETS = np.array([0, 2, 3])
LABELS = np.array([0, 1])


@pytest.mark.parametrize(
    ("tokens", "offsets", "labels", "sentence"),
    [
        (TOKENS.astype(np.int64), OFFSETS, LABELS, "tokens are int64"),
        (TOKENS[None], OFFSETS, LABELS, r"tokens are uint8 of shape \(1, 3\)"),
        (TOKENS, OFFSETS.astype(np.int32), LABELS, "offsets are int32"),
        (TOKENS, OFFSETS, LABELS.astype(float), "labels are float64"),
        (TOKENS, OFFSETS, LABELS[:1], "3 offsets for 1 labels; there must be 2"),
        (TOKENS, np.array([1, 2, 3]), LABELS, "offsets run from 1 to 3; they must run from 0 to 3"),
        (TOKENS, np.array([0, 2, 4]), LABELS, "offsets run from 0 to 4; they must run from 0 to 3"),
        (TOKENS, np.array([0, 3, 3]), LABELS, "sequence 1 is empty"),
        (TOKENS, np.array([0, 5, 3]), LABELS, "sequence 1 is empty or ends before it starts"),
        (TOKENS, np.array([0, 2**63 - 1, -(2**63), -1, 3]), np.array([0, 1, 1, 0]), "sequence 1 is empty or"),
        (TOKENS[:0], OFFSETS[:1], LABELS[:0], "has no sequence"),
        (
            np.array([1, 2, 0], dtype=np.uint8),
            OFFSETS,
            LABELS,
            "sequence 1 holds token 0, which is reserved",
        ),
        (TOKENS, OFFSETS, np.array([0, -1]), "label -1 is negative"),
    ],
)
def test_arrays_that_contradict_one_another_are_refused(tokens, offsets, labels, sentence):
    TokenDataset(TOKENS, OFFSETS, LABELS)
    with pytest.raises(TaskError, match=sentence):
        TokenDataset(tokens, offsets, labels)


def test_a_task_with_more_than_256_ids_has_them_in_two_bytes():
    symbols = ("", *map(str, range(256)))
    pixels = TokenDataset(np.array([256, 1], dtype=np.uint16), np.array([0, 2]), np.array([9], dtype=np.uint8))
    data = TaskData("pixels", "made here", symbols, 10, pixels, pixels, pixels)
    assert data.train.sequence(0).tolist() == [256, 1]
    assert data.vocabulary == 257
    assert data.longest == 2


def test_a_token_without_a_symbol_is_refused_with_its_split():
    with pytest.raises(TaskError, match="the validation split has token 4; it must be between 0 and 3"):
        task(validation=dataset([b"\4"], [0]))


def test_a_label_that_is_no_class_is_refused_with_its_split():
    with pytest.raises(TaskError, match="the test split has label 2; it must be between 0 and 1"):
        task(test=dataset([b"\1"], [2]))


def test_a_symbol_that_cannot_be_printed_is_refused():
    with pytest.raises(TaskError, match=r"the symbol of token 3 is .* printable"):
        task(symbols=("", "a", "b", "\0"))
