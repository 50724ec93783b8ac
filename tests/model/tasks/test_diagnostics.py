"""Copy, recall and needle: the label is what a plain reading of the sequence finds, far from the question."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from model.tasks.diagnostics import (
    CopyParameters,
    DiagnosticParameters,
    NeedleParameters,
    RecallParameters,
    answer_distances,
    generate,
    training_lengths,
)
from model.tasks.trivial_levels import trivial_levels
from rmaat.base.records import ParameterError

SIZES = {"length": 64, "gap": 30, "train_size": 300, "validation_size": 20, "test_size": 200}
TASKS: list[DiagnosticParameters] = [CopyParameters(**SIZES), RecallParameters(**SIZES), NeedleParameters(**SIZES)]


def answer(kind: str, words: list[str]) -> tuple[str, int]:
    """The answer, found by reading the sequence, and its position."""
    if kind == "needle":
        place = words.index("!") + 1
    elif kind == "copy":
        place = int(words[-1].split()[1])
    else:
        place = words.index(words[-1]) + 1
    return words[place], place


@pytest.mark.parametrize("parameters", TASKS, ids=lambda parameters: parameters.kind)
def test_labels_are_what_the_sequences_say_beyond_the_gap(parameters):
    task = generate(parameters)
    for split in task.splits.values():
        assert set(split.lengths) == {64}
        distances = answer_distances(parameters, split)
        for row in range(len(split)):
            words = [task.symbols[token] for token in split.sequence(row)]
            found, place = answer(parameters.kind, words)
            assert found == f"value {split.labels[row]}"
            assert words.index("?") - place > parameters.gap
            assert distances[row] == 63 - place


@pytest.mark.parametrize("parameters", TASKS, ids=lambda parameters: parameters.kind)
def test_splits_depend_on_the_seed_and_not_on_each_others_size(parameters):
    first, second = generate(parameters), generate(replace(parameters, train_size=5))
    assert first.test.tokens.tolist() == second.test.tokens.tolist()
    assert generate(replace(parameters, data_seed=1)).test.tokens.tolist() != first.test.tokens.tolist()
    assert trivial_levels(first)[0].accuracy < 0.2


@pytest.mark.parametrize("parameters", TASKS, ids=lambda parameters: parameters.kind)
def test_shorter_training_sequences_have_gaps_in_proportion_and_as_many_tokens_of_each_length(parameters):
    several = replace(parameters, length=240, gap=80, shortest_length=60, train_size=700)
    task = generate(several)
    lengths, counts = np.unique(task.train.lengths, return_counts=True)
    assert lengths.tolist() == [60, 120, 240]
    assert counts.tolist() == [400, 200, 100]
    assert set(task.validation.lengths) == set(task.test.lengths) == {240}
    for row in range(len(task.train)):
        words = [task.symbols[token] for token in task.train.sequence(row)]
        found, place = answer(parameters.kind, words)
        assert found == f"value {task.train.labels[row]}"
        assert words.index("?") - place > {60: 20, 120: 40, 240: 80}[len(words)]


def test_shorter_training_sequences_leave_validation_and_test_as_they_are():
    full = CopyParameters(**SIZES)
    task, several = generate(full), generate(replace(full, shortest_length=32, gap=30))
    assert several.test.tokens.tolist() == task.test.tokens.tolist()
    assert training_lengths(full) == [full]


def test_training_sequences_too_short_for_their_items_are_refused_before_any_is_drawn():
    with pytest.raises(ParameterError, match="length is 16 tokens; items, gap and question take 22"):
        RecallParameters(length=64, gap=16, items=8, shortest_length=16)


@pytest.mark.parametrize("kind", [CopyParameters, RecallParameters])
def test_the_commonest_of_the_values_shown_is_as_good_a_guess_as_chance_says(kind):
    # Of four values out of ten, the commonest is asked for in one of four, two of four ... of the sequences.
    counts = [max(Counter(values).values()) for values in itertools.product(range(10), repeat=4)]
    expected = sum(counts) / len(counts) / 4
    task = generate(replace(kind(**SIZES), items=4, test_size=4000))
    level = trivial_levels(task)[1]
    assert level.name == "commonest of the values shown"
    assert level.accuracy == pytest.approx(expected, abs=5 * (expected * (1 - expected) / 4000) ** 0.5)


def test_a_needle_lies_anywhere_that_leaves_the_gap():
    task = generate(replace(NeedleParameters(**SIZES), train_size=3000))
    places = {int((task.train.sequence(row) == 2).argmax()) for row in range(3000)}
    assert places == set(range(64 - 1 - 30 - 1))


def test_a_sequence_too_short_for_what_it_must_hold_is_refused():
    with pytest.raises(ParameterError, match="length is 40 tokens; items, gap and question take 48"):
        RecallParameters(length=40, gap=30)
