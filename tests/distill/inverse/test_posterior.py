"""Laplace's posterior has the errors of the fit, and the profile is flat where the data leave a parameter open."""

import numpy as np
import pytest

from astro_sim import SimulationParameters, simulate
from distill.inverse.fit import Data, fit
from distill.inverse.posterior import laplace_draws, profile
from rmaat.base.errors import UsageError

SHORT = SimulationParameters().override({"run_duration": 100, "relative_tolerance": 1e-6})
TIMES = np.array([10.0, 20, 30, 40, 50, 60, 80, 100])
NAMES = ["long_term_time_constant", "short_term_gain"]


@pytest.fixture(scope="module")
def found():
    traces = simulate(SHORT.override({"long_term_time_constant": 150, "short_term_gain": 0.4}))
    values = traces["long_term_process"].mean(("post", "pre")).sel(time=TIMES).values
    return fit(Data(TIMES, values, np.full(TIMES.size, 1e-3), False, "curve.csv"), SHORT, NAMES)


@pytest.fixture(scope="module")
def open_fit():
    factors = np.exp(-0.3 * np.arange(2))
    data = Data(np.array([50.0, 100.0]), factors / factors.sum(), np.full(2, 1e-3), True, "target.csv")
    with pytest.warns(UserWarning, match="apart"):
        return fit(data, SHORT, ["long_term_time_constant", "long_term_decay"])


def test_draws_have_the_estimates_errors_and_correlation_of_the_fit(found):
    draws = laplace_draws(found, 20_000)
    np.testing.assert_allclose(draws.mean(axis=0), list(found.estimates.values()), rtol=0.01)
    np.testing.assert_allclose(draws.std(axis=0), list(found.errors.values()), rtol=0.05)
    expected = found.covariance[0, 1] / np.sqrt(np.prod(np.diag(found.covariance)))
    assert np.corrcoef(draws.T)[0, 1] == pytest.approx(expected, abs=0.03)
    assert (draws > 0).all()


def test_the_profile_rises_by_the_standard_error(found):
    """One standard error away the sum of weighted squares has risen by 1."""
    name = "short_term_gain"
    best, error = found.estimates[name], found.errors[name]
    scanned = profile(found, name, [best - error, best, best + error])
    np.testing.assert_allclose(scanned.misfits**2 * TIMES.size, [1, 0, 1], atol=0.1)
    assert scanned.others[0]["long_term_time_constant"] != scanned.others[2]["long_term_time_constant"]


@pytest.mark.slow
def test_the_profile_is_flat_where_the_data_leave_a_parameter_open(open_fit):
    scanned = profile(open_fit, "long_term_time_constant", [100.0, 400.0])
    assert scanned.misfits.max() < 1e-2
    ratios = [decay["long_term_decay"] / value for decay, value in zip(scanned.others, scanned.values, strict=True)]
    assert ratios == pytest.approx([0.3 / 50] * 2, rel=1e-3)


def test_a_profile_of_the_only_parameter_needs_no_fit(found):
    alone = fit(found.data, found.parameters, ["short_term_gain"])
    scanned = profile(alone, "short_term_gain", [alone.estimates["short_term_gain"], 0.5])
    assert scanned.misfits[0] < 1e-3 < scanned.misfits[1]
    assert scanned.others == ({}, {})


def test_a_profile_of_another_parameter_is_refused(found):
    with pytest.raises(UsageError, match="unknown parameter of the fit 'cycle_duration'"):
        profile(found, "cycle_duration", [1.0])


@pytest.mark.slow
def test_draws_need_a_known_variance(found):
    few = Data(TIMES[:2], found.data.values[:2], None, False, "two rows")
    with pytest.raises(UsageError, match="two rows leaves the variance unknown"):
        laplace_draws(fit(few, SHORT, NAMES), 3)
