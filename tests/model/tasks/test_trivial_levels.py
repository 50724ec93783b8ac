import pytest

from model.tasks.data.dataset import TaskData, TaskError, TokenDataset
from model.tasks.data.encoding import from_bytes, join_pair
from model.tasks.listops import CLOSE
from model.tasks.trivial_levels import (
    TrivialLevel,
    commonest_label,
    root_digits,
    root_operator,
    shared_words,
    trivial_levels,
)

TRAIN = TokenDataset.from_sequences([b"\1\2", b"\1\3", b"\1", b"\2", b"\2\1", b"\3\1"], [4, 4, 0, 1, 1, 4])


def held_out(sequences: list[bytes], labels: list[int]) -> TokenDataset:
    return TokenDataset.from_sequences(sequences, labels)


def test_the_commonest_label_is_that_of_train_and_not_of_test():
    assert commonest_label(TRAIN, held_out([b"\1", b"\1", b"\1"], [1, 1, 4])).accuracy == pytest.approx(1 / 3)


def test_the_root_operator_guesses_by_the_first_token_as_fitted_on_train():
    test = held_out([b"\1\2", b"\2\1", b"\2\2", b"\3\2"], [4, 1, 4, 4])
    assert root_operator(TRAIN, test).accuracy == pytest.approx(3 / 4)


def test_a_first_token_that_train_lacks_is_given_the_commonest_label():
    assert root_operator(TRAIN, held_out([b"\7", b"\7", b"\7", b"\1"], [4, 1, 4, 4])).accuracy == pytest.approx(3 / 4)


def test_a_level_of_another_name_and_a_bracket_that_closes_nothing_are_refused():
    task = TaskData("letters", "made here", ("", "a", "b", "c"), 5, TRAIN, TRAIN, TRAIN, levels=("commonest_word",))
    with pytest.raises(TaskError, match="unknown trivial level 'commonest_word'"):
        trivial_levels(task)
    with pytest.raises(TaskError, match="a bracket closes nothing"):
        root_digits(TRAIN, held_out([bytes([CLOSE])], [1]))


def test_labels_that_train_lacks_count_as_missed():
    test = held_out([b"\1", b"\2"], [9, 1])
    assert root_operator(TRAIN, test).accuracy == pytest.approx(1 / 2)
    assert commonest_label(TRAIN, test).accuracy == 0


def pair(first: str, second: str) -> bytes:
    return join_pair(from_bytes(first.encode(), 100), from_bytes(second.encode(), 100))


def test_shared_words_count_by_how_rare_they_are_in_train():
    # "the" is in every document and counts nothing; one rare word in common is a yes, none is a no.
    train = TokenDataset.from_sequences(
        [
            pair("the owl", "the owl"),
            pair("the fox", "the hen"),
            pair("the elk", "the elk"),
            pair("the ant", "the bee"),
        ],
        [1, 0, 1, 0],
    )
    test = TokenDataset.from_sequences(
        [pair("the yak", "the YAK!"), pair("the yak", "the cow"), pair("the cow", "the cow"), pair("the", "the")],
        [1, 0, 0, 1],
    )
    assert shared_words(train, train).accuracy == 1
    assert shared_words(train, test).accuracy == pytest.approx(2 / 4)


def test_shared_words_never_cut_between_equal_scores():
    # All pairs of train score alike: all yes or all no, and no is right more often.
    train = TokenDataset.from_sequences([pair("owl", "owl"), pair("fox", "fox"), pair("elk", "elk")], [1, 0, 0])
    assert shared_words(train, train).accuracy == pytest.approx(2 / 3)


def test_a_level_prints_its_name_and_accuracy():
    assert str(TrivialLevel("root operator", 0.3584)) == "root operator: 35.8%"
