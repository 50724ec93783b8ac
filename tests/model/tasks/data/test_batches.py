import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from model.tasks.data.batches import BatchPlan, collate
from model.tasks.data.dataset import TokenDataset
from rmaat.base.errors import UsageError

LENGTHS = npst.arrays(np.int64, st.integers(1, 300), elements=st.integers(1, 2000))


def plan_of(count: int, **options) -> BatchPlan:
    lengths = np.random.default_rng(0).integers(20, 200, size=count)
    return BatchPlan(lengths, **{"batch_size": 8, **options})


def same(left: list[np.ndarray], right: list[np.ndarray]) -> bool:
    return [batch.tolist() for batch in left] == [batch.tolist() for batch in right]


@settings(max_examples=60, deadline=None)
@given(LENGTHS, st.integers(1, 40), st.integers(0, 2**40), st.integers(1, 5), st.integers(0, 1000))
def test_every_sequence_stands_exactly_once_in_an_epoch(lengths, batch_size, seed, window, epoch):
    plan = BatchPlan(lengths, batch_size, seed, window)
    batches = plan.epoch(epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert len(batches) == plan.batch_count
    sizes = sorted(len(batch) for batch in batches)
    assert all(size == batch_size for size in sizes[1:])
    assert sizes[0] == (len(lengths) % batch_size or batch_size)


def test_batches_are_a_function_of_lengths_size_seed_and_epoch_alone():
    straight = [batch for epoch in range(3) for batch in plan_of(1000, seed=5).epoch(epoch)]
    resumed_at_epoch_1_batch_7 = plan_of(1000, seed=5).epoch(1)[7:] + plan_of(1000, seed=5).epoch(2)
    assert same(straight[plan_of(1000).batch_count + 7 :], resumed_at_epoch_1_batch_7)


def test_epochs_and_seeds_differ_in_their_batches_and_not_only_in_their_order():
    def composition(**options):
        epoch = options.pop("epoch", 0)
        return {frozenset(batch.tolist()) for batch in plan_of(1000, window=4, **options).epoch(epoch)}

    first = composition()
    for other in (composition(epoch=1), composition(seed=1)):
        # 125 batches of 8 of 1,000: two independent shuffles share none.
        assert not first & other


def test_short_and_long_batches_are_mixed_over_the_epoch():
    plan = plan_of(8000)
    means = np.array([plan.lengths[batch].mean() for batch in plan.epoch(0)])
    # For 1,000 independent batches the correlation of neighbours is 0 with a deviation of 1/sqrt(1000); 5 of them.
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 5 / np.sqrt(1000)


def test_sequences_of_one_batch_are_of_like_length():
    plan = plan_of(8000, window=32)
    spread = [np.ptp(plan.lengths[batch]) for batch in plan.epoch(0)]
    # 256 lengths of 20..199, sorted: 8 neighbours span about 180 * 7 / 257 = 4.9.
    assert np.mean(spread) < 6


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"window": 0}, "window is 0"),
        ({"seed": -1}, "seed is -1; it must be at least 0"),
        ({"lengths": np.zeros(0, dtype=np.int64)}, r"lengths have shape \(0,\)"),
        ({"lengths": np.ones((2, 2), dtype=np.int64)}, r"lengths have shape \(2, 2\)"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        BatchPlan(**{"lengths": np.array([3, 4]), "batch_size": 1, **options})


DATASET = TokenDataset.from_sequences([b"\1\2", b"\3", b"\4\5\6\7"], [5, 6, 7])


def test_a_batch_is_as_wide_as_its_longest_and_padded_at_the_end():
    tokens, lengths, labels = collate(DATASET, np.array([1, 0]))
    assert tokens.tolist() == [[3, 0], [1, 2]]
    assert lengths.tolist() == [1, 2]
    assert labels.tolist() == [6, 5]
    assert tokens.dtype == lengths.dtype == labels.dtype == np.int64


def test_a_batch_can_be_written_to_without_touching_the_dataset():
    tokens, _, labels = collate(DATASET, np.array([2]))
    tokens[:], labels[:] = 9, 9
    assert DATASET.sequence(2).tolist() == [4, 5, 6, 7]
    assert DATASET.labels.tolist() == [5, 6, 7]


@pytest.mark.parametrize("index", [-1, 3])
def test_a_batch_of_an_index_outside_is_refused(index):
    with pytest.raises(IndexError, match=f"sequence {index} of 3"):
        collate(DATASET, np.array([0, index]))


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="at least one sequence"):
        collate(DATASET, np.array([], dtype=np.int64))
