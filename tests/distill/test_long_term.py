"""The long-term curve: simulated increments, the law that continues them, and their errors."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill import DistillError
from distill.long_term import fit_curve


def curve_of(increments, cycles=None):
    """The curve whose simulated cycles grow by `increments`."""
    return fit_curve(np.concatenate([[0.0], np.cumsum(increments)]), cycles or len(increments))


def geometric(rate, count=6):
    return [2.0 * math.exp(-rate * cycle) for cycle in range(count)]


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


def test_fewer_than_three_cycles_are_refused():
    with pytest.raises(DistillError, match="grows in 2 cycles of the traces, but its curve needs at least 3"):
        curve_of([2.0, 1.0])


def test_a_curve_that_is_flat_after_two_cycles_is_refused_even_if_more_cycles_follow():
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


# Noisy curves and several trials.


def noisy_curves(trials, cycles=32, noise=0.05, seed=0):
    """Curves (trial, cycle + 1) whose geometric increments, a = 0.1, vary by a share `noise` of the first."""
    generator = np.random.default_rng(seed)
    increments = np.exp(-0.1 * np.arange(cycles)) + generator.normal(0, noise, (trials, cycles))
    return np.concatenate([np.zeros((trials, 1)), increments.cumsum(axis=1)], axis=1)


def test_the_law_replaces_noisy_increments():
    (curve,) = noisy_curves(1)
    assert (np.diff(np.diff(curve)) > 0).sum() > 5
    fitted = fit_curve(curve, 64)
    assert fitted.simulated == 0
    assert (fitted.increments > 0).all()
    assert (np.diff(fitted.increments) < 0).all()
    np.testing.assert_array_equal(fitted.increments, fitted.law.increments(1, 64))
    assert fitted.rate.value == pytest.approx(0.1, abs=0.02)


def test_the_law_replaces_all_increments_of_a_model_with_random_numbers():
    curve = np.concatenate([[0.0], np.cumsum(geometric(0.5))])
    assert fit_curve(curve, 8).simulated == 6
    assert fit_curve(curve, 8, stochastic=True).simulated == 0


def test_only_simulated_increments_have_no_error():
    curve = curve_of([1.0, 0.7, 0.45, 0.33, 0.2], cycles=9)
    assert curve.increment_errors[:5].tolist() == [0] * 5
    assert (curve.increment_errors[5:] > 0).all()


def test_trials_are_averaged_before_the_fit():
    curves = noisy_curves(8)
    np.testing.assert_allclose(fit_curve(curves, 8).growth, curves.mean(axis=0)[1:], rtol=1e-12)
    assert fit_curve(curves, 8).trials == 8


def test_the_bootstrap_over_trials_gives_the_spread_of_new_trials():
    rates = [fit_curve(noisy_curves(8, seed=seed), 4, resamples=20).rate.value for seed in range(20)]
    rates_with_errors = [fit_curve(noisy_curves(8, seed=seed), 4, resamples=60).rate for seed in range(8)]
    # Eight trials underestimate their own spread a little.
    assert np.median([rate.error for rate in rates_with_errors]) == pytest.approx(np.std(rates), rel=0.5)
    assert sum(rate.interval[0] <= 0.1 <= rate.interval[1] for rate in rates_with_errors) >= 5


def test_the_bootstrap_repeats_with_its_seed():
    one, same, other = (fit_curve(noisy_curves(4), 8, resamples=20, seed=seed) for seed in (1, 1, 2))
    assert one.rate == same.rate != other.rate
    np.testing.assert_array_equal(one.increment_errors, same.increment_errors)


def test_more_trials_reduce_the_error_of_the_rate():
    few, many = (fit_curve(noisy_curves(trials), 8, resamples=40).rate.error for trials in (3, 48))
    assert many < few


def test_the_stored_biophysical_run_follows_the_geometric_law_within_one_percent(biophysical):
    found = biophysical.dataset
    # a = cycle_duration / long_term_time_constant = 60 s / 600 s
    assert float(found["increment_rate"]) == pytest.approx(0.1, rel=0.02)
    assert 0.001 < float(found["increment_residual"]) < 0.01
    assert "the fitted law" in found["increment"].attrs["source"]
    assert (np.diff(biophysical.retention(32)) < 0).all()
