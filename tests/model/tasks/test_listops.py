import random
import statistics
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, ks_2samp

from model.tasks.data.batches import BatchPlan, collate
from model.tasks.data.dataset import TaskData, TaskError
from model.tasks.listops import (
    OFFICIAL,
    SHORT,
    ListOpsParameters,
    evaluate,
    from_text,
    generate,
    generator,
    grammar,
    read_official,
    samples,
    to_text,
    walk,
    with_brackets,
)
from model.tasks.trivial_levels import commonest_label, root_operator, trivial_levels
from rmaat.base.records import ParameterError

pytestmark = pytest.mark.xdist_group("listops")
SMALL = ListOpsParameters(
    shortest_length=5, longest_length=40, max_depth=4, train_size=60, validation_size=10, test_size=10
)

PINNED = [
    "[SM 2 8 [SM [SM 8 4 0 3 5 9 1 5 7 5 ] 9 5 5 5 1 [SM 6 4 0 7 8 9 8 ] ] 3 2 8 ]",
    "[SM [MAX 2 9 6 3 6 [MAX 3 2 6 ] 5 4 4 0 ] 1 4 7 ]",
]

# Independent of the package: nested lists, the standard library's median, and LRA's walk as its authors wrote it.


def nested(text: str) -> list | int:
    """`[MAX 2 [MIN 4 7 ] ]` as `["MAX", 2, ["MIN", 4, 7]]`."""

    def read(symbols: list[str]) -> list | int:
        symbol = symbols.pop()
        if not symbol.startswith("["):
            return int(symbol)
        arguments: list = [symbol[1:]]
        while symbols[-1] != "]":
            arguments.append(read(symbols))
        symbols.pop()
        return arguments

    symbols = text.split()[::-1]
    tree = read(symbols)
    assert not symbols
    return tree


def apply(name: str, values: list[int]) -> int:
    rules = {"MIN": min, "MAX": max, "MED": lambda v: int(statistics.median(v)), "SM": lambda v: sum(v) % 10}
    return rules[name](values)


def value(tree: list | int) -> int:
    return tree if isinstance(tree, int) else apply(tree[0], [value(item) for item in tree[1:]])


def value_of_top(tree: list | int, levels: int) -> int | None:
    """The value where lists deeper than `levels` are passed over; None where nothing is left."""
    if isinstance(tree, int):
        return tree
    values = [found for item in tree[1:] if (found := value_of_top(item, levels - 1)) is not None] if levels else []
    return apply(tree[0], values) if values else None


def nesting(tree: list | int) -> int:
    return 0 if isinstance(tree, int) else 1 + max(nesting(item) for item in tree[1:])


def lra_length(generator: random.Random, depth: int = 1) -> int:
    """Tokens of one walk of LRA's `generate_tree`, never cut short."""
    if depth == 10 or generator.random() > 0.25:
        return 1
    return 2 + sum(lra_length(generator, depth + 1) for _ in range(generator.randint(2, 10)))


@pytest.fixture(scope="module")
def official() -> TaskData:
    """3,000 sequences to learn from and 2,000 to test on, at the official setting."""
    return generate(replace(OFFICIAL, train_size=3000, validation_size=1))


@pytest.fixture(scope="module")
def trees(official) -> list:
    return [nested(to_text(official.test.sequence(index))) for index in range(len(official.test))]


def deviation(share: float, count: int) -> float:
    """Standard deviation of a share observed in `count` draws."""
    return (share * (1 - share) / count) ** 0.5


# The official setting. Expected figures: 100,000 samples of this grammar; tolerances: five standard deviations.


def test_the_official_setting_keeps_one_walk_in_twelve():
    draw, walks = random.Random(1).random, 20_000
    kept = sum(500 < len(walk(OFFICIAL, draw)) < 2000 for _ in range(walks))
    assert kept / walks == pytest.approx(0.0836, abs=5 * deviation(0.0836, walks))


@pytest.mark.slow
def test_lengths_of_the_official_setting_follow_the_walk_of_lra(official):
    generator, kept = random.Random(2), []
    while len(kept) < 2000:
        if 500 < (length := lra_length(generator)) < 2000:
            kept.append(length)
    # Two samples of one law fall below this in one pair of seeds out of 10,000.
    assert ks_2samp(official.train.lengths, kept).pvalue > 1e-4


@pytest.mark.slow
def test_lengths_of_the_official_setting_are_strictly_between_500_and_2000_with_mean_1036(official):
    lengths = official.train.lengths
    assert 500 < lengths.min() < 510
    assert 1980 < lengths.max() < 2000
    assert lengths.mean() == pytest.approx(1036, abs=5 * 394 / np.sqrt(len(lengths)))


@pytest.mark.slow
def test_labels_0_and_9_are_twice_as_common_as_the_others(official):
    count = len(official.train)
    shares = np.bincount(official.train.labels, minlength=10) / count
    expected = [0.170, 0.090, 0.076, 0.081, 0.090, 0.087, 0.078, 0.074, 0.088, 0.166]
    np.testing.assert_allclose(shares, expected, rtol=0, atol=5 * deviation(0.17, count))
    assert min(shares[0], shares[9]) > 1.3 * shares[1:9].max()


def test_root_operators_are_uniform(official):
    counts = np.bincount(official.train.first_tokens, minlength=16)
    assert counts[11:15].sum() == len(official.train)
    assert chisquare(counts[11:15]).pvalue > 1e-4


def test_arguments_are_uniform_in_2_to_10_below_the_root(trees):
    # Below the root and two more levels the choice of length hardly bends the law: every kept tree has thousands of
    # nodes to choose from, so the test asks for the range and for no gross slope.
    counts = np.zeros(12, dtype=int)

    def count(tree, depth):
        if isinstance(tree, list):
            counts[min(len(tree) - 1, 11)] += depth > 3
            for item in tree[1:]:
                count(item, depth + 1)

    for tree in trees[:300]:
        count(tree, 1)
    assert counts[:2].sum() == counts[11] == 0
    assert counts[2:11].min() > 0.7 * counts[2:11].max()


def test_every_official_sample_nests_nine_operators(trees):
    assert {nesting(tree) for tree in trees} == {9}


def test_trivial_levels_of_the_official_setting(official):
    count = len(official.test)
    assert commonest_label(official.train, official.test).accuracy == pytest.approx(
        0.17, abs=5 * deviation(0.17, count)
    )
    assert root_operator(official.train, official.test).accuracy == pytest.approx(
        0.359, abs=5 * deviation(0.359, count)
    )


@pytest.mark.parametrize(("levels", "accuracy"), [(1, 0.484), (2, 0.682), (3, 0.798), (9, 1.0)])
def test_reading_more_levels_of_the_tree_climbs_the_ladder(official, trees, levels, accuracy):
    hits = [value_of_top(tree, levels) == label for tree, label in zip(trees, official.test.labels, strict=True)]
    assert np.mean(hits) == pytest.approx(accuracy, abs=5 * deviation(accuracy, len(trees)))


@pytest.mark.parametrize("levels", [0, 1, 2, 9])
def test_the_value_of_the_top_passes_over_what_lies_deeper(official, trees, levels):
    found = [grammar.value_of_top(official.test.sequence(index), levels) for index in range(100)]
    assert found == [value_of_top(tree, levels) for tree in trees[:100]]


def test_every_label_is_the_value_of_the_expression_read_from_its_text(official, trees):
    assert [value(tree) for tree in trees] == official.test.labels.tolist()


# Generation.


def test_one_seed_gives_one_set_of_data_and_another_seed_another():
    first, again, other = generate(SMALL), generate(SMALL), generate(replace(SMALL, data_seed=1))
    assert first.train.tokens.tobytes() == again.train.tokens.tobytes()
    assert first.train.labels.tolist() == again.train.labels.tolist()
    assert first.train.tokens.tobytes() != other.train.tokens.tobytes()


def test_the_stream_of_a_seed_is_the_same_on_every_machine():
    # Written down once; a change breaks every result that names this seed.
    assert [to_text(sample) for sample in islice(samples(SMALL), 2)] == PINNED


def test_more_training_samples_leave_all_earlier_ones_as_they_are():
    few, many = generate(SMALL), generate(replace(SMALL, train_size=200))
    for split in ("test", "validation"):
        assert getattr(few, split).tokens.tobytes() == getattr(many, split).tokens.tobytes()
    assert many.train.tokens.tobytes().startswith(few.train.tokens.tobytes())
    assert many.train.labels.tolist()[:60] == few.train.labels.tolist()


def test_splits_have_their_sizes_and_no_sequence_twice():
    # 3 to 5 tokens: an operator over one, two or three digits; most walks repeat an earlier one.
    data = generate(
        ListOpsParameters(
            shortest_length=3, longest_length=6, train_size=3000, validation_size=200, test_size=100, max_depth=2
        )
    )
    splits = (data.train, data.validation, data.test)
    assert [len(split) for split in splits] == [3000, 200, 100]
    texts = [split.sequence(index).tobytes() for split in splits for index in range(len(split))]
    assert len(set(texts)) == 3300


def test_lengths_lie_strictly_between_their_bounds():
    parameters = replace(SMALL, shortest_length=8, longest_length=11, train_size=300)
    assert set(generate(parameters).train.lengths.tolist()) == {9, 10}


def test_depth_and_arguments_stay_within_their_limits():
    parameters = replace(SMALL, max_depth=3, max_arguments=3, train_size=500, shortest_length=4)
    data = generate(parameters).train
    trees = [nested(to_text(data.sequence(index))) for index in range(len(data))]
    assert {nesting(tree) for tree in trees} == {1, 2}
    assert {len(tree) - 1 for tree in trees} == {2, 3}


def test_stopping_a_walk_early_changes_no_kept_sample():
    early = list(islice(samples(SHORT), 300))
    # The twin never stops and is told where the early walk stopped, so that both start each walk at one draw.
    state = random.Random(SHORT.data_seed)
    kept = []
    while len(kept) < 300:
        twin = random.Random()
        twin.setstate(state.getstate())
        whole = walk(replace(SHORT, longest_length=10**6), twin.random)
        if 20 < len(whole) < 200:
            kept.append(bytes(whole))
        walk(SHORT, state.random)
    assert kept == early


def test_parameters_that_yield_no_new_sample_are_refused(monkeypatch):
    monkeypatch.setattr(generator, "_PATIENCE", 2000)
    with pytest.raises(TaskError, match=r"2,000 expressions in a row gave none that is new .* between 0 and 2 tokens"):
        generate(replace(SMALL, shortest_length=0, longest_length=2))
    with pytest.raises(TaskError, match="raise max_depth or max_arguments"):
        generate(replace(SMALL, max_depth=2, max_arguments=4, shortest_length=10))


def test_patience_starts_again_with_each_sample(monkeypatch):
    monkeypatch.setattr(generator, "_PATIENCE", 500)
    # About one walk in seven is kept, so 300 samples take some 2,000 walks.
    assert len(generate(replace(SMALL, train_size=300)).train) == 300


def test_bounds_that_leave_no_length_are_refused():
    with pytest.raises(ParameterError, match="no length is strictly between shortest_length 30 and longest_length 31"):
        replace(SMALL, shortest_length=30, longest_length=31)


def test_a_sample_of_one_digit_is_its_own_value():
    data = generate(
        replace(SMALL, shortest_length=0, longest_length=2, train_size=6, validation_size=2, test_size=2)
    ).train
    assert data.labels.tolist() == (data.tokens - 1).tolist()


def test_progress_is_told_rising_fractions_that_end_at_one():
    told: list[float] = []
    generate(SMALL, told.append)
    assert told == sorted(told)
    assert len(told) == 80
    assert told[-1] == 1


def test_the_origin_names_all_that_the_data_depend_on():
    origin = generate(SMALL).origin
    assert origin.startswith("regenerated, n = 80: ")
    assert all(f"{name} {setting}" in origin for name, setting in SMALL.to_dict().items() if name != "kind")


def test_every_parameter_states_its_meaning_and_its_bounds():
    for path, setting, quantity in OFFICIAL.parameters():
        assert quantity.meaning, path
        if isinstance(setting, str):
            assert setting in quantity.choices, path
        else:
            assert quantity.low <= setting <= quantity.high < float("inf"), path


def test_the_official_setting_is_that_of_lra():
    assert OFFICIAL.to_dict() == {
        "shortest_length": 500,
        "longest_length": 2000,
        "shortest_training": 0,
        "max_depth": 10,
        "max_arguments": 10,
        "operator_probability": 0.25,
        "train_size": 96_000,
        "validation_size": 2_000,
        "test_size": 2_000,
        "data_seed": 0,
        "brackets": "dropped",
        "kind": "listops",
    }


def test_batches_of_the_short_setting_hold_little_padding():
    data = generate(replace(SHORT, train_size=4000, validation_size=1, test_size=1)).train
    tokens = padded = 0
    for batch in BatchPlan(data.lengths, batch_size=32).epoch(0):
        padded_tokens, lengths, _ = collate(data, batch)
        padded += padded_tokens.size
        tokens += lengths.sum()
    assert tokens == len(data.tokens)
    assert 1 - tokens / padded < 0.05


# Evaluation and text.


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("7", 7),
        ("[MIN 4 7 ]", 4),
        ("[MAX 2 9 [MIN 4 7 ] 0 ]", 9),
        ("[MED 1 9 5 ]", 5),
        ("[MED 1 2 ]", 1),
        ("[MED 9 0 4 7 ]", 5),
        ("[SM 9 9 9 ]", 7),
        ("[SM 5 5 ]", 0),
        ("[SM [MAX 1 8 ] [MED 3 3 9 9 ] [MIN 2 [SM 6 5 ] ] ]", 5),
        ("[MIN 3 ]", 3),
    ],
)
def test_hand_computed_values(text, result):
    assert evaluate(from_text(text)) == result


def test_a_sum_beyond_a_byte_does_not_wrap():
    # 30 nines are 270: 0 modulo 10, but 4 where the sum wraps at 256.
    tokens = np.frombuffer(from_text(f"[SM {'9 ' * 30}]"), dtype=np.uint8)
    assert evaluate(tokens) == 0


TREES = st.recursive(
    st.integers(0, 9),
    lambda inner: st.tuples(st.sampled_from(["MIN", "MAX", "MED", "SM"]), st.lists(inner, min_size=1, max_size=11)).map(
        lambda pair: [pair[0], *pair[1]]
    ),
)


def written(tree: list | int) -> str:
    return str(tree) if isinstance(tree, int) else f"[{tree[0]} {' '.join(map(written, tree[1:]))} ]"


@settings(max_examples=200, deadline=None)
@given(TREES)
def test_evaluation_from_tokens_agrees_with_evaluation_of_the_nested_list(tree):
    text = written(tree)
    tokens = from_text(text)
    assert evaluate(tokens) == value(tree)
    assert to_text(tokens) == text


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (b"", "0 brackets left open, 0 values"),
        (b"\1\1", "0 brackets left open, 2 values"),
        (b"\x0b\1", "1 brackets left open"),
        (b"\1\x0b\1", "1 brackets left open, 1 values"),
        (b"\x0b\x0f", "token 15 is not allowed where it is"),
        (b"\1\x0f", "token 15 is not allowed where it is"),
        (b"\x0b\1\0\x0f", "token 0 is not allowed where it is"),
        (b"\x10", "token 16 is not allowed where it is"),
    ],
)
def test_a_malformed_expression_is_refused(tokens, sentence):
    with pytest.raises(TaskError, match=sentence):
        evaluate(tokens)


def test_ids_are_fixed():
    assert list(from_text("0 9 [MIN [MAX [MED [SM ]")) == [1, 10, 11, 12, 13, 14, 15]


@pytest.mark.parametrize("token", [0, 18])
def test_an_id_without_a_symbol_is_refused(token):
    with pytest.raises(TaskError, match=f"token {token} is not a symbol"):
        to_text(bytes([1, token]))


# LRA's own files.


def bracketed(tree: list | int) -> str:
    """The form of the official files: a pair of round brackets for each node of a left-leaning binary tree."""
    if isinstance(tree, int):
        return str(tree)
    text = f"[{tree[0]}"
    for item in tree[1:]:
        text = f"( {text} {bracketed(item)} )"
    return f"( {text} ] )"


OFFICIAL_NAMES = {"train": "basic_train.tsv", "validation": "basic_val.tsv", "test": "basic_test.tsv"}


@pytest.fixture
def folder(tmp_path) -> Path:
    data = generate(replace(SMALL, train_size=8, validation_size=3, test_size=3))
    for split, name in OFFICIAL_NAMES.items():
        dataset = getattr(data, split)
        lines = ["Source\tTarget"]
        for index in range(len(dataset)):
            tree = nested(to_text(dataset.sequence(index)))
            lines.append(f"{bracketed(tree)}\t{dataset.labels[index]}")
        (tmp_path / name).write_bytes("".join(f"{line}\r\n" for line in lines).encode())
    return tmp_path


def rewrite(path: Path, line: int, content: str) -> None:
    lines = path.read_text().splitlines()
    lines[line - 1] = content
    path.write_text("\n".join(lines) + "\n")


def test_the_form_of_the_official_files():
    assert bracketed(["MAX", 2, 9]) == "( ( ( [MAX 2 ) 9 ) ] )"


def test_official_files_load_to_the_tokens_that_they_were_written_from(folder):
    wanted, found = generate(replace(SMALL, train_size=8, validation_size=3, test_size=3)), read_official(SMALL, folder)
    for split in OFFICIAL_NAMES:
        assert getattr(found, split).tokens.tolist() == getattr(wanted, split).tokens.tolist()
        assert getattr(found, split).offsets.tolist() == getattr(wanted, split).offsets.tolist()
        assert getattr(found, split).labels.tolist() == getattr(wanted, split).labels.tolist()
    assert found.origin == "official files, brackets dropped"
    assert (found.vocabulary, found.classes) == (16, 10)


@settings(max_examples=200, deadline=None)
@given(TREES)
def test_kept_brackets_are_those_of_the_official_files_and_make_3n_minus_2_tokens(tree):
    tokens = from_text(written(tree))
    kept = with_brackets(tokens)
    assert to_text(kept) == bracketed(tree)
    assert len(kept) == 3 * len(tokens) - 2
    assert from_text(to_text(kept)) == tokens


def test_brackets_change_the_reading_and_not_the_samples_or_the_levels(folder):
    clean = generate(SMALL)
    for found in (generate(replace(SMALL, brackets="kept")), read_official(replace(SMALL, brackets="kept"), folder)):
        assert found.vocabulary == 18
        first = found.test.sequence(0)
        assert to_text(first[first < 16]) == to_text(clean.test.sequence(0))
        assert found.test.labels[0] == clean.test.labels[0]
    assert trivial_levels(generate(replace(SMALL, brackets="kept"))) == trivial_levels(clean)


def test_the_ladder_of_trivial_levels_is_that_of_the_official_grammar(official):
    # Expected: 100,000 samples of this grammar; the nested lists are worth all that is above the third.
    measured = {level.name: level.accuracy for level in trivial_levels(official)}
    tolerance = 5 * deviation(0.5, len(official.test))
    assert measured == {
        "commonest label": pytest.approx(0.173, abs=tolerance),
        "root operator alone": pytest.approx(0.358, abs=tolerance),
        "root operator on its own digits": pytest.approx(0.485, abs=tolerance),
    }


def test_columns_are_found_by_name(folder):
    path = folder / "basic_val.tsv"
    path.write_text("Target\tSource\n4\t( ( ( [MIN 4 ) 7 ) ] )\n")
    found = read_official(SMALL, folder).validation
    assert to_text(found.sequence(0)) == "[MIN 4 7 ]"
    assert found.labels.tolist() == [4]


@pytest.mark.parametrize("name", OFFICIAL_NAMES.values())
def test_a_missing_official_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(TaskError, match=rf"cannot read .*{name}: No such file .*; point at LRA's listops folder"):
        read_official(SMALL, folder)


@pytest.mark.parametrize(
    ("line", "content", "sentence"),
    [
        (1, "Source\tAnswer", "line 1: the header has no column 'Target'"),
        (1, "Source Target", "line 1: the header has no column 'Source'"),
        (3, "( ( ( [MAX 2 ) x ) ] )\t2", "line 3: unknown symbol 'x'; known are 0 1 2"),
        (3, '"9\t9', "line 3: unknown symbol '\"9'"),
        (3, "( ( ( [MAX 2 ) 9 ) ] )", "line 3: 1 columns; there must be Source and Target"),
        (4, "( ( ( [MAX 2 ) 9 ) ] )\t2", "line 4: label '2', but the expression has the value 9"),
        (4, "( ( ( [MAX 2 ) 9 ) ] )\tnine", "line 4: label 'nine', but"),
        (4, "( ( ( [MAX 2 ) 9 ) )\t9", "line 4: 1 brackets left open"),
        (2, "\t3", "line 2: 0 brackets left open, 0 values"),
    ],
)
def test_a_bad_line_is_refused_with_file_and_line(folder, line, content, sentence):
    rewrite(folder / "basic_train.tsv", line, content)
    with pytest.raises(TaskError, match=rf"basic_train\.tsv, {sentence}"):
        read_official(SMALL, folder)


def test_an_official_file_without_rows_is_refused(folder):
    (folder / "basic_test.tsv").write_text("Source\tTarget\n")
    with pytest.raises(TaskError, match=r"basic_test\.tsv, line 1: the dataset has no sequence"):
        read_official(SMALL, folder)


def test_an_empty_official_file_is_refused(folder):
    (folder / "basic_test.tsv").write_text("")
    with pytest.raises(TaskError, match=r"basic_test\.tsv, line 1: the header has no column 'Source'"):
        read_official(SMALL, folder)


def test_an_official_file_that_is_no_text_is_refused(folder):
    with (folder / "basic_val.tsv").open("ab") as stream:
        stream.write(b"\xff\xfe\t3\n")
    with pytest.raises(TaskError, match=r"basic_val\.tsv, after line \d: not tab-separated text"):
        read_official(SMALL, folder)


def test_half_of_the_training_samples_may_be_short_and_the_other_splits_stay():
    plain = ListOpsParameters(
        shortest_length=60, longest_length=200, train_size=40, validation_size=10, test_size=10, data_seed=3
    )
    mixed = replace(plain, shortest_training=20)
    without, with_short = generate(plain), generate(mixed)
    for split in ("validation", "test"):
        assert np.array_equal(getattr(without, split).tokens, getattr(with_short, split).tokens)
    lengths = with_short.train.lengths
    assert (lengths[:20] > 60).all()
    assert ((lengths[20:] > 20) & (lengths[20:] <= 60)).all()
    assert [with_short.train.sequence(index).tobytes() for index in range(20)] == [
        without.train.sequence(index).tobytes() for index in range(20)
    ]
    labels = [evaluate(with_short.train.sequence(index).tobytes()) for index in range(40)]
    assert labels == with_short.train.labels.tolist()


def test_short_training_samples_are_shorter_than_the_others():
    with pytest.raises(ParameterError, match="must be below shortest_length"):
        ListOpsParameters(shortest_training=500)
