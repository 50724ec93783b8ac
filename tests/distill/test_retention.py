"""Retention factors against their closed form, term-by-term sums and a running computation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from astro_sim import SimulationParameters, simulate
from distill import DistillParameters, distil
from distill.errors import DistillError
from distill.retention import fit_curve, retention_parts, shuffled_order
from distill.schema import VARIANTS

RATES = [0.01, 0.25, 0.5, 3.0]
SEPARABLE = [variant for variant in VARIANTS if variant not in ("horizon", "random")]


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
def test_rows_printed_in_the_specification_come_out_to_three_decimals(rate, published):
    row = retention_factors(curve_of(geometric(rate), cycles=8), "increment")[len(published) - 1, : len(published)]
    assert row.round(3).tolist() == published


@settings(deadline=None, max_examples=60)
@given(decreasing_increments())
def test_increment_factors_are_positive_decrease_sum_to_1_and_shift_down_as_T_grows(increments):
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
def test_streaming_factors_equal_a_running_computation_that_never_knows_T(increments):
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


@settings(deadline=None, max_examples=40)
@given(st.floats(0.01, 3), st.floats(0.01, 100), st.integers(3, 20))
def test_the_fit_recovers_rate_and_saturation(rate, saturation, cycles):
    cycle = np.arange(cycles + 1)
    curve = fit_curve(7.0 + saturation * (1 - np.exp(-rate * cycle)), 64)
    assert curve.rate.value == pytest.approx(rate, rel=1e-6)
    assert curve.saturation == pytest.approx(saturation, rel=1e-6)
    assert curve.residual < 1e-7
    assert curve.increments == pytest.approx(
        [saturation * (1 - math.exp(-rate)) * math.exp(-rate * n) for n in range(64)], rel=1e-3
    )


def test_the_rounding_of_a_saturated_curve_is_replaced_by_the_law():
    curve = curve_of(geometric(1.0, 100))
    assert 20 < curve.simulated < 30
    assert curve.increments == pytest.approx(geometric(1.0, 100), rel=1e-3, abs=0)


def test_simulated_increments_are_kept_and_only_the_rest_is_the_law():
    increments = [1.0, 0.5, 0.4, 0.1]
    curve = curve_of(increments, cycles=7)
    assert curve.simulated == 4
    assert curve.increments[:4] == pytest.approx(increments, rel=1e-12)
    assert curve.increments[4:] == pytest.approx([0.1 * math.exp(-curve.rate.value * n) for n in (1, 2, 3)], rel=1e-12)
    assert curve.residual > 0.01


def test_the_default_simulation_follows_the_rate_of_its_equations(tables):
    # a = long_term_decay * cycle_duration / long_term_time_constant = 1 * 50 s / 100 s
    found = tables.dataset
    assert float(found["increment_rate"]) == pytest.approx(0.5, rel=0, abs=1e-4)
    assert float(found["increment_residual"]) < 1e-4
    assert found["increment_simulated"].values.tolist() == [1] * 6 + [0] * 58
    assert tables.retention(4) == pytest.approx([closed_form(0.5, segment, 4) for segment in (1, 2, 3, 4)], abs=1e-5)


def test_the_default_simulation_gives_the_closed_form_for_every_T(tables):
    for segments in range(1, 65):
        expected = [closed_form(0.5, segment, segments) for segment in range(1, segments + 1)]
        np.testing.assert_allclose(tables.retention(segments), expected, rtol=0, atol=1e-9)


def test_fewer_than_three_cycles_are_refused():
    with pytest.raises(DistillError, match="grows in 2 cycles of the traces and its curve needs at least 3"):
        curve_of([2.0, 1.0])


def test_a_curve_that_is_flat_after_two_cycles_is_refused_however_many_follow():
    with pytest.raises(DistillError, match=r"grows in 2 cycles .* a longer long_term_time_constant"):
        curve_of([2.0, 1e-6, 1e-16, 1e-16, 0.0])


@pytest.mark.parametrize(
    ("increments", "place"),
    [
        ([1.0, 0.8, 0.9, 0.1], "1, 0.8, 0.9 up to cycle 3"),
        ([1.0, 1.0, 0.5], "1, 1 up to cycle 2"),
        ([1.0, -0.5, -2.0], "1, -0.5 up to cycle 2"),
        ([-1.0, -2.0, -3.0], r"\(-1 up to cycle 1"),
    ],
)
def test_increments_that_do_not_fall_are_refused_at_the_first_cycle_that_is_wrong(increments, place):
    with pytest.raises(DistillError, match=place):
        curve_of(increments)


# Noise.


def noisy_curves(trials, cycles=32, noise=0.05, seed=0):
    """Curves (trial, cycle + 1) whose geometric increments, a = 0.1, vary by a share `noise` of the first."""
    generator = np.random.default_rng(seed)
    increments = np.exp(-0.1 * np.arange(cycles)) + generator.normal(0, noise, (trials, cycles))
    return np.concatenate([np.zeros((trials, 1)), increments.cumsum(axis=1)], axis=1)


def test_noisy_increments_are_replaced_by_the_law_and_never_differenced():
    (curve,) = noisy_curves(1)
    assert (np.diff(np.diff(curve)) > 0).sum() > 5
    fitted = fit_curve(curve, 64)
    assert fitted.simulated == 0
    assert (fitted.increments > 0).all()
    assert (np.diff(fitted.increments) < 0).all()
    np.testing.assert_array_equal(fitted.increments, fitted.law.increments(1, 64))
    assert fitted.rate.value == pytest.approx(0.1, abs=0.02)


def test_a_model_that_draws_random_numbers_goes_through_the_law_even_where_its_increments_decrease():
    curve = np.concatenate([[0.0], np.cumsum(geometric(0.5))])
    assert fit_curve(curve, 8).simulated == 6
    assert fit_curve(curve, 8, stochastic=True).simulated == 0


def test_the_error_of_an_increment_is_zero_only_where_it_is_the_simulation_s_own():
    curve = curve_of([1.0, 0.7, 0.45, 0.33, 0.2], cycles=9)
    assert curve.increment_errors[:5].tolist() == [0] * 5
    assert (curve.increment_errors[5:] > 0).all()


def test_trials_are_averaged_before_the_fit():
    curves = noisy_curves(8)
    np.testing.assert_allclose(fit_curve(curves, 8).growth, curves.mean(axis=0)[1:], rtol=1e-12)
    assert fit_curve(curves, 8).trials == 8


def test_the_bootstrap_over_trials_gives_the_spread_that_new_trials_have():
    rates = [fit_curve(noisy_curves(8, seed=seed), 4, resamples=20).rate.value for seed in range(20)]
    told = [fit_curve(noisy_curves(8, seed=seed), 4, resamples=60).rate for seed in range(8)]
    # Eight trials underestimate their own spread a little.
    assert np.median([rate.error for rate in told]) == pytest.approx(np.std(rates), rel=0.5)
    assert sum(rate.interval[0] <= 0.1 <= rate.interval[1] for rate in told) >= 5


def test_the_bootstrap_repeats_with_its_seed():
    one, same, other = (fit_curve(noisy_curves(4), 8, resamples=20, seed=seed) for seed in (1, 1, 2))
    assert one.rate == same.rate != other.rate
    np.testing.assert_array_equal(one.increment_errors, same.increment_errors)


def test_more_trials_make_the_rate_surer():
    few, many = (fit_curve(noisy_curves(trials), 8, resamples=40).rate.error for trials in (3, 48))
    assert many < few


def test_the_stored_biophysical_run_follows_the_geometric_law_within_one_percent(biophysical):
    found = biophysical.dataset
    # a = cycle_duration / long_term_time_constant = 60 s / 600 s
    assert float(found["increment_rate"]) == pytest.approx(0.1, rel=0.02)
    assert 0.001 < float(found["increment_residual"]) < 0.01
    assert "the fitted law" in found["increment"].attrs["source"]
    assert (np.diff(biophysical.retention(32)) < 0).all()


# The variants that depend on T in another way.


@pytest.mark.parametrize("segments", [1, 2, 16, 64])
def test_horizon_is_the_closed_form_with_a_rate_of_three_over_T(tables, segments):
    expected = [closed_form(3 / segments, segment, segments) for segment in range(1, segments + 1)]
    np.testing.assert_allclose(tables.retention(segments, "horizon"), expected, rtol=0, atol=1e-9)


def test_horizon_keeps_a_share_for_the_last_of_many_segments(traces):
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
    # Were they not, the rank of the first of 4 would not be evenly spread over seeds.
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
    """Traces whose long-term process has `increments`, whatever else they hold."""
    ends = np.arange(len(increments) + 1)
    step = float(traces["cycle_end"][0])
    long_term = np.interp(traces["time"].values / step, ends, np.concatenate([[0.0], np.cumsum(increments)]))
    whole = min(len(increments), traces.sizes["cycle"])
    changed = traces.isel(cycle=slice(0, whole)).copy(deep=True)
    changed["long_term_process"].values[:] = long_term[:, None, None]
    return changed
