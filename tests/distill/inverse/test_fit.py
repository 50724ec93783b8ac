"""Fits recover the parameters that made the data and name those that the data do not determine."""

import math

import numpy as np
import pytest

from astro_sim import SimulationParameters, simulate
from distill.inverse.fit import Data, fit
from rmaat.base.errors import UsageError

SHORT = SimulationParameters().override({"run_duration": 100, "relative_tolerance": 1e-6})
TIMES = np.array([5.0, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100])
CURVE = ["long_term_time_constant", "short_term_gain"]


def curve(**changes: float) -> np.ndarray:
    traces = simulate(SHORT.override(changes))
    return traces["long_term_process"].mean(("post", "pre")).sel(time=TIMES).values


def data(values: np.ndarray, errors: np.ndarray | None = None) -> Data:
    return Data(TIMES, values, errors, retention=False, origin="curve.csv")


def retention(rate: float, segments: int = 2) -> Data:
    factors = np.exp(-rate * np.arange(segments))
    ends = 50.0 * np.arange(1, segments + 1)
    return Data(ends, factors / factors.sum(), None, retention=True, origin="target.csv")


def test_a_curve_gives_back_the_parameters_that_made_it():
    found = fit(data(curve(long_term_time_constant=150, short_term_gain=0.4)), SHORT, CURVE)
    assert found.estimates["long_term_time_constant"] == pytest.approx(150, rel=1e-4)
    assert found.estimates["short_term_gain"] == pytest.approx(0.4, rel=1e-4)
    assert found.parameters.model.short_term_gain == found.estimates["short_term_gain"]
    assert found.parameters.references == dict.fromkeys(CURVE, "fitted to curve.csv")
    assert np.abs(found.residuals).max() < 1e-6
    assert found.undetermined == ()


@pytest.mark.parametrize("known", [True, False])
def test_noise_moves_the_estimates_by_about_their_standard_errors(known):
    size, truth = 1e-3, {"long_term_time_constant": 150.0, "short_term_gain": 0.4}
    noise = size * np.random.default_rng(0).standard_normal(TIMES.size)
    found = fit(data(curve(**truth) + noise, np.full(TIMES.size, size) if known else None), SHORT, CURVE)
    for name, value in truth.items():
        assert abs(found.estimates[name] - value) < 3 * found.errors[name]
        assert found.errors[name] < 0.1 * value
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), list(found.errors.values()))


def test_standard_errors_scale_with_those_of_the_data():
    values = curve()
    small, large = (fit(data(values, np.full(TIMES.size, size)), SHORT, CURVE).errors for size in (1e-3, 2e-3))
    for name in CURVE:
        assert large[name] == pytest.approx(2 * small[name], rel=1e-3)


def test_the_errors_are_those_of_a_straight_line_where_the_curve_is_one():
    """With one free factor of the whole curve, value = S v, the error of S is σ / |v|."""
    linear = SHORT.override({"long_term_time_constant": 10_000})
    values = simulate(linear)["long_term_process"].mean(("post", "pre")).sel(time=TIMES).values
    found = fit(data(values, np.full(TIMES.size, 1e-4)), linear, ["long_term_time_constant"])
    # p^l / τ with hardly any decay: ln v falls by 1 as ln τ rises by 1.
    expected = 10_000 * 1e-4 / np.linalg.norm(values)
    assert found.errors["long_term_time_constant"] == pytest.approx(expected, rel=0.01)


def test_retention_factors_give_back_the_rate_that_made_them():
    found = fit(retention(0.3), SHORT, ["long_term_time_constant"])
    assert found.estimates["long_term_time_constant"] == pytest.approx(50 / 0.3, rel=1e-4)


def test_two_parameters_that_act_as_one_number_are_named_and_the_number_is_found():
    names = ["long_term_time_constant", "long_term_decay"]
    with pytest.warns(UserWarning, match=r"do not tell long_term_time_constant and long_term_decay apart.*one number"):
        found = fit(retention(0.3), SHORT, names)
    constant, decay = found.estimates.values()
    assert decay * 50 / constant == pytest.approx(0.3, rel=1e-4)
    assert found.undetermined == (pytest.approx(dict.fromkeys(names, 1.0)),)
    assert all(error == math.inf for error in found.errors.values())


def test_a_parameter_without_effect_is_named_and_keeps_its_value():
    with pytest.warns(UserWarning, match="the data do not depend on hill_exponent; do not vary it"):
        found = fit(data(curve(short_term_gain=0.4)), SHORT, ["short_term_gain", "hill_exponent"])
    assert found.estimates["hill_exponent"] == 4.0
    assert found.errors["hill_exponent"] == math.inf
    assert found.estimates["short_term_gain"] == pytest.approx(0.4, rel=1e-4)
    assert found.errors["short_term_gain"] < 1e-3


def test_a_search_shortens_a_step_to_parameters_without_stable_rest():
    """A gain of 0.78 latches, and the first step from 0.1 is to 1."""
    start = SHORT.override({"short_term_gain": 0.1})
    found = fit(data(curve(short_term_gain=0.7)), start, ["short_term_gain"])
    assert found.estimates["short_term_gain"] == pytest.approx(0.7, rel=1e-4)


def test_a_parameter_that_ends_at_its_bound_is_named():
    start = SHORT.override({"long_term_time_constant": 15_000})
    with pytest.warns(UserWarning, match="long_term_time_constant ended at its bound, 20000"):
        fit(data(0.5 * curve(long_term_time_constant=20_000)), start, ["long_term_time_constant"])


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([], "nothing varies; name at least one parameter"),
        (["short_term_gane"], "unknown parameter to fit, 'short_term_gane'; perhaps you meant short_term_gain"),
        (["cycle_duration"], "unknown parameter to fit, 'cycle_duration'"),
        (["short_term_gain", "short_term_gain"], "short_term_gain is named twice; name it once"),
        (["short_term_gain", "long_term_decay", "coupling_scale"], "has 2 rows for 3 parameters; vary fewer"),
    ],
)
def test_names_that_cannot_be_fitted_are_refused(names, sentence):
    with pytest.raises(UsageError, match=sentence):
        fit(retention(0.3), SHORT, names)
