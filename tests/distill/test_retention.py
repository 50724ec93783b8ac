"""Retention factors against their closed form, term-by-term sums and a running computation."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from astro_sim import SimulationParameters, simulate
from distill import DistillParameters, distil
from distill.law import Law
from distill.long_term import fit_curve
from distill.retention import (
    StreamingRetention,
    geometric_factors,
    increment_factors,
    remaining_shares,
    retention_parts,
    sampled_factors,
    shuffled_order,
    slowed_factors,
)
from distill.schema import VARIANTS

RATES = [0.01, 0.25, 0.5, 3.0]
SEPARABLE = [variant for variant in VARIANTS if variant not in ("horizon", "random", "trace_area")]


def test_remaining_shares_are_the_products_of_later_factors_and_one_for_the_last():
    np.testing.assert_allclose(remaining_shares(np.array([0.5, 0.8, 0.9])), [0.4, 0.8, 1.0])


def curve_of(increments, cycles=None):
    """The curve whose simulated cycles grow by `increments`."""
    return fit_curve(np.concatenate([[0.0], np.cumsum(increments)]), cycles or len(increments))


def retention_factors(curve, variant):
    """RF(t, T) at [T - 1, t - 1], zero where t > T, of a variant that has parts."""
    cycles = len(curve.increments)
    weight, total = retention_parts(curve, curve.increments, shuffled_order(cycles, 0))[variant]
    return np.tril(weight / total[:, None])


def geometric(rate, count=6):
    return [2.0 * math.exp(-rate * cycle) for cycle in range(count)]


def closed_form(rate, segment, segments):
    return math.exp(-rate * (segment - 1)) * (1 - math.exp(-rate)) / (1 - math.exp(-rate * segments))


@st.composite
def decreasing_increments(draw):
    """Three to eight increments, each at most 0.95 and at least 0.2 of the one before."""
    increments = [draw(st.floats(1e-3, 1e3))]
    for ratio in draw(st.lists(st.floats(0.2, 0.95), min_size=2, max_size=7)):
        increments.append(increments[-1] * ratio)
    return increments


@pytest.mark.parametrize("rate", RATES)
def test_geometric_increments_give_the_closed_form_within_and_beyond_the_simulated_cycles(rate):
    rows = retention_factors(curve_of(geometric(rate), cycles=20), "increment")
    for segments in range(1, 21):
        for segment in range(1, 21):
            expected = closed_form(rate, segment, segments) if segment <= segments else 0.0
            assert rows[segments - 1, segment - 1] == pytest.approx(expected, rel=0, abs=1e-9)


@pytest.mark.parametrize(
    ("rate", "published"),
    [
        (0.5, [0.455, 0.276, 0.167, 0.102]),
        (0.25, [0.256, 0.199, 0.155, 0.121, 0.094, 0.073, 0.057, 0.044]),
    ],
)
def test_factors_equal_the_published_rows_to_three_decimals(rate, published):
    row = retention_factors(curve_of(geometric(rate), cycles=8), "increment")[len(published) - 1, : len(published)]
    assert row.round(3).tolist() == published


@settings(deadline=None, max_examples=60)
@given(decreasing_increments())
def test_increment_factors_are_positive_decrease_sum_to_1_and_fall_as_T_grows(increments):
    rows = retention_factors(curve_of(increments), "increment")
    for segments in range(1, len(increments) + 1):
        row = rows[segments - 1, :segments]
        assert (row > 0).all()
        assert (np.diff(row) < 0).all()
        assert row.sum() == pytest.approx(1, rel=1e-12)
        assert (rows[segments - 1, segments:] == 0).all()
        if segments < len(increments):
            assert (rows[segments, :segments] < row).all()


@settings(deadline=None, max_examples=40)
@given(decreasing_increments(), st.floats(1e-3, 1e3), st.sampled_from(SEPARABLE))
def test_factors_do_not_change_with_the_unit_of_the_long_term_process(increments, unit, variant):
    scaled = [unit * increment for increment in increments]
    rows, same = (retention_factors(curve_of(values, cycles=12), variant) for values in (increments, scaled))
    np.testing.assert_allclose(rows, same, rtol=1e-6, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(decreasing_increments(), st.integers(1, 12), st.sampled_from(SEPARABLE))
def test_shorter_tables_are_the_leading_block_of_longer_ones(increments, cycles, variant):
    short, long = (retention_factors(curve_of(increments, count), variant) for count in (cycles, 12))
    np.testing.assert_array_equal(short, long[:cycles, :cycles])


@settings(deadline=None, max_examples=40)
@given(decreasing_increments())
def test_streaming_factors_equal_a_running_computation_without_T(increments):
    curve = curve_of(increments, cycles=12)
    rows = retention_factors(curve, "streaming")
    total = 0.0
    for segment, increment in enumerate(curve.increments):
        total += increment
        assert rows[segment:, segment] == pytest.approx(increment / total, rel=1e-12)
        assert (rows[:segment, segment] == 0).all()


@pytest.mark.parametrize("rate", [0.25, 0.5, 3.0])
def test_saturation_factors_are_shares_of_the_sum_to_infinity(rate):
    endless = sum(geometric(rate, 2000))
    rows = retention_factors(curve_of(geometric(rate), cycles=20), "saturation")
    for segment, increment in enumerate(geometric(rate, 20)):
        assert rows[segment:, segment] == pytest.approx(increment / endless, rel=1e-9)


def test_saturation_adds_the_fitted_tail_to_the_simulated_cycles_of_a_curve_that_is_not_geometric():
    increments = [1.0, 0.5, 0.4, 0.1]
    curve = curve_of(increments, cycles=2)
    tail = sum(increments[-1] * math.exp(-curve.rate.value * cycle) for cycle in range(1, 2000))
    assert curve.saturation == pytest.approx(2.0 + tail, rel=1e-12)


def test_the_controls_are_one_over_T_and_one():
    curve = curve_of(geometric(0.5), cycles=9)
    constant, none = retention_factors(curve, "constant"), retention_factors(curve, "none")
    for length in range(1, 10):
        assert constant[length - 1].tolist() == [1 / length] * length + [0] * (9 - length)
        assert none[length - 1].tolist() == [1] * length + [0] * (9 - length)


def test_the_default_simulation_gives_the_closed_form_for_every_T(tables):
    for segments in range(1, 65):
        expected = [closed_form(0.5, segment, segments) for segment in range(1, segments + 1)]
        np.testing.assert_allclose(tables.retention(segments), expected, rtol=0, atol=1e-9)


# Variants that are not w(t) / W(T).


@pytest.mark.parametrize("segments", [1, 2, 16, 64])
def test_horizon_is_the_closed_form_with_a_rate_of_three_over_T(tables, segments):
    expected = [closed_form(3 / segments, segment, segments) for segment in range(1, segments + 1)]
    np.testing.assert_allclose(tables.retention(segments, "horizon"), expected, rtol=0, atol=1e-9)


def test_the_last_factor_of_horizon_stays_above_0_for_many_segments(traces):
    longest = distil(traces, DistillParameters(segments=4096))
    last = longest.retention(4096, "horizon")[-1]
    assert last == pytest.approx(closed_form(3 / 4096, 4096, 4096), rel=1e-9)
    assert last > 1e-5 > 1e-300 > longest.retention(4096)[-1]


def test_horizon_is_what_a_slower_simulation_gives(tables):
    # a = long_term_decay * cycle_duration / long_term_time_constant = 3 / 8
    slower = SimulationParameters().override({"long_term_time_constant": 50 * 8 / 3, "run_duration": 400})
    again = distil(simulate(slower)).retention(8)
    np.testing.assert_allclose(tables.retention(8, "horizon"), again, rtol=1e-6)
    assert "exact scaling" in tables.dataset["horizon_cycles"].attrs["method"]


def test_horizon_of_a_curve_that_departs_from_the_law_says_that_it_is_slowed(biophysical):
    assert (
        "slowed, which is not what a new simulation would give" in biophysical.dataset["horizon_cycles"].attrs["method"]
    )


@pytest.mark.parametrize("saturation", [0.5, 3.0, 12.0])
def test_the_saturation_of_horizon_is_a_choice(traces, saturation):
    chosen = distil(traces, DistillParameters(segments=10, horizon_saturation=saturation))
    expected = [closed_form(saturation / 10, segment, 10) for segment in range(1, 11)]
    np.testing.assert_allclose(chosen.retention(10, "horizon"), expected, rtol=0, atol=1e-9)


def test_area_is_the_share_of_the_area_under_the_curve_and_rises(tables):
    area = [quad(lambda cycle: 1 - math.exp(-0.5 * cycle), end - 1, end)[0] for end in range(1, 9)]
    factors = tables.retention(8, "area")
    np.testing.assert_allclose(factors, np.array(area) / sum(area), rtol=1e-6)
    assert (np.diff(factors) > 0).all()


@pytest.mark.parametrize("segments", [1, 5, 64])
def test_random_is_increment_in_another_order_for_each_T(tables, segments):
    np.testing.assert_array_equal(np.sort(tables.retention(segments, "random"))[::-1], tables.retention(segments))


def test_random_orders_are_fixed_by_their_seed_alone(traces, tables):
    same, other = (distil(traces, DistillParameters(segments=16, seed=seed)) for seed in (0, 1))
    np.testing.assert_allclose(same.retention(9, "random"), tables.retention(9, "random"), rtol=1e-12)
    assert (other.retention(9, "random") != tables.retention(9, "random")).any()


def test_the_first_entries_of_a_shuffled_order_are_shuffled_too():
    # If they are, the rank of the first of 4 is evenly spread over seeds.
    ranks = [int(np.argsort(np.argsort(shuffled_order(100, seed)[:4]))[0]) for seed in range(400)]
    assert np.bincount(ranks, minlength=4) == pytest.approx(100, abs=40)


@settings(max_examples=15)
@given(decreasing_increments(), st.sampled_from(["increment", "area", "horizon", "constant", "random"]))
def test_factors_of_tables_from_random_curves_are_positive_and_sum_to_1(traces, increments, variant):
    rows = distil(with_curve(traces, increments), DistillParameters(segments=12)).retention_rows(12, variant)
    for length in range(1, 13):
        assert (rows[length - 1, :length] > 0).all()
        assert rows[length - 1].sum() == pytest.approx(1, rel=1e-9)
        if variant in ("increment", "horizon"):
            assert (np.diff(rows[length - 1, :length]) < 0).all()
        if variant in ("increment", "area", "constant") and length < 12:
            assert (rows[length, :length] < rows[length - 1, :length]).all()


@settings(max_examples=10)
@given(decreasing_increments(), st.floats(1e-3, 1e3))
def test_no_variant_changes_with_the_unit_of_the_curve(traces, increments, unit):
    parameters = DistillParameters(segments=12)
    scaled = np.multiply(increments, unit)
    one, other = (distil(with_curve(traces, curve), parameters) for curve in (increments, scaled))
    for variant in VARIANTS:
        np.testing.assert_allclose(one.retention(12, variant), other.retention(12, variant), rtol=1e-5)


def with_curve(traces, increments):
    """The traces with another long-term process, which grows by `increments`."""
    ends = np.arange(len(increments) + 1)
    step = float(traces["cycle_end"][0])
    long_term = np.interp(traces["time"].values / step, ends, np.concatenate([[0.0], np.cumsum(increments)]))
    whole = min(len(increments), traces.sizes["cycle"])
    changed = traces.isel(cycle=slice(0, whole)).copy(deep=True)
    changed["long_term_process"].values[:] = long_term[:, None, None]
    return changed


LAWS = [
    Law("geometric", 2.5, (1.0,), (0.5,)),
    Law("stretched", 0.4, (1.0,), (0.3,), stretch=0.6),
    Law("two_rates", 7.0, (0.25, 0.75), (0.05, 0.9)),
]


@pytest.mark.parametrize("segments", [1, 2, 7, 64, 4096])
def test_the_slowed_geometric_law_is_the_closed_form_with_the_slower_rate(segments):
    factors = slowed_factors(LAWS[0], 3.0 / 0.5, segments)
    rate, segment = 3.0 / segments, np.arange(1, segments + 1)
    expected = np.exp(-rate * (segment - 1)) * np.expm1(-rate) / np.expm1(-rate * segments)
    np.testing.assert_allclose(factors, expected, rtol=1e-9)
    assert factors.sum() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_a_slowed_law_reaches_in_T_cycles_what_it_reached_in_its_own(law):
    factors = slowed_factors(law, 12.0, 24)
    np.testing.assert_allclose(factors.cumsum(), law.values(np.arange(1, 25) / 2) / law.values(12.0), rtol=1e-12)


# The formulas alone.


@pytest.mark.parametrize("segments", [1, 3, 5])
def test_increment_factors_are_shares_of_the_increments_up_to_T(segments):
    increments = np.array([8.0, 4.0, 3.0, 2.0, 1.0])
    expected = [increment / increments[:segments].sum() for increment in increments[:segments]]
    np.testing.assert_allclose(increment_factors(increments, segments), expected, rtol=1e-15)


def test_factors_of_a_sampled_curve_are_those_of_its_increments_and_its_slopes_their_differences():
    cycle, rate, step = np.arange(1, 6), 0.3, 1e-6

    def curve(rate):
        return 2 * -np.expm1(-rate * cycle)

    slopes = (curve(rate + step) - curve(rate - step)) / (2 * step)
    factors, derivatives = sampled_factors(curve(rate), slopes[:, None])
    np.testing.assert_allclose(factors, geometric_factors(cycle, 5, rate), rtol=1e-12)
    changed = (geometric_factors(cycle, 5, rate + step) - geometric_factors(cycle, 5, rate - step)) / (2 * step)
    np.testing.assert_allclose(derivatives[:, 0], changed, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("rate", "published"),
    [(0.5, [0.455, 0.276, 0.167, 0.102]), (0.25, [0.256, 0.199, 0.155, 0.121, 0.094, 0.073, 0.057, 0.044])],
)
def test_the_closed_form_gives_published_values_and_sums_to_one(rate, published):
    factors = geometric_factors(np.arange(1, len(published) + 1), len(published), rate)
    np.testing.assert_allclose(factors, published, atol=6e-4)
    assert factors.sum() == pytest.approx(1)


# One factor after another, for a sequence of unknown length.


def test_streaming_equals_the_variant_of_the_tables(tables):
    streamed = list(itertools.islice(tables.streaming(), 64))
    np.testing.assert_allclose(streamed, tables.retention(64, "streaming"), rtol=1e-12)
    for segments in (1, 5):
        assert streamed[:segments] == pytest.approx(tables.retention(segments, "streaming"), rel=1e-12)


def test_streaming_continues_beyond_the_end_of_the_tables(traces, tables):
    longer = distil(traces, DistillParameters(segments=300)).retention(300, "streaming")
    np.testing.assert_allclose(list(itertools.islice(tables.streaming(), 300)), longer, rtol=1e-12)


def test_streaming_equals_the_variant_if_all_increments_come_from_the_law(biophysical):
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


def test_two_streams_are_independent(tables):
    first, second = tables.streaming(), tables.streaming()
    next(first)
    assert next(second) == 1.0
