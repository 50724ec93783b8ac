"""Factors one by one equal those of the table, for any length and in constant memory."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill import DistillParameters, distil
from distill.law import Law
from distill.streaming import StreamingRetention


def test_streaming_equals_the_variant_of_the_tables(tables):
    streamed = list(itertools.islice(tables.streaming(), 64))
    np.testing.assert_allclose(streamed, tables.retention(64, "streaming"), rtol=1e-12)
    for segments in (1, 5):
        assert streamed[:segments] == pytest.approx(tables.retention(segments, "streaming"), rel=1e-12)


def test_streaming_goes_on_beyond_the_end_of_the_tables(traces, tables):
    longer = distil(traces, DistillParameters(segments=300)).retention(300, "streaming")
    np.testing.assert_allclose(list(itertools.islice(tables.streaming(), 300)), longer, rtol=1e-12)


def test_streaming_equals_the_variant_where_all_increments_are_the_law_s(biophysical):
    assert not biophysical.dataset["increment_simulated"].any()
    streamed = list(itertools.islice(biophysical.streaming(), 64))
    np.testing.assert_allclose(streamed, biophysical.retention(64, "streaming"), rtol=1e-12)


@settings(max_examples=40)
@given(
    st.lists(st.floats(0.2, 0.95), max_size=6),
    st.floats(0.01, 2),
    st.floats(0.3, 1),
)
def test_streaming_is_a_running_share_that_never_exceeds_one(ratios, rate, stretch):
    simulated = np.cumprod([1.0, *ratios]) if ratios else np.empty(0)
    law = Law("any", 3.0, (1.0,), (rate,), stretch)
    total = 0.0
    for segment, factor in enumerate(itertools.islice(StreamingRetention(simulated, law), 20), start=1):
        own = len(simulated)
        increment = law.increments(segment, 1)[0]
        if segment <= own:
            increment = simulated[segment - 1]
        elif own:
            increment *= simulated[-1] / law.increments(own, 1)[0]
        total += increment
        assert factor == pytest.approx(increment / total, rel=1e-9)
        assert 0 < factor <= 1


def test_memory_does_not_grow_with_the_sequence(tables):
    factors = tables.streaming()
    next(factors)
    tracemalloc.start()
    for _ in range(5000):
        next(factors)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 10_000
    assert factors.segment == 5001


def test_two_streams_do_not_meet(tables):
    first, second = tables.streaming(), tables.streaming()
    next(first)
    assert next(second) == 1.0
