"""The error of a slope under correlated residuals."""

import numpy as np
import pytest

from distill.correlated import slope_error
from distill.law_fit import interval

X = np.log(np.linspace(4, 16, 40))


def process(generator, correlation, count=40):
    """An AR(1) process with variance 1, (observation,)."""
    values = generator.normal(size=count)
    for place in range(1, count):
        values[place] = correlation * values[place - 1] + np.sqrt(1 - correlation**2) * values[place]
    return values


def line(x, y):
    """Slope and residuals."""
    slope, constant = np.polyfit(x, y, 1)
    return slope, y - slope * x - constant


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8, 0.95])
def test_the_interval_covers_the_slope_of_lines_with_correlated_noise(correlation):
    generator, runs = np.random.default_rng(0), 150
    within = usual = 0
    for _ in range(runs):
        slope, residual = line(X, 0.4 * X + process(generator, correlation))
        found = slope_error(X, residual)
        low, high = interval(slope, found.error, found.freedom)
        within += low <= 0.4 <= high
        independent = np.sqrt(residual @ residual / 38 / ((X - X.mean()) @ (X - X.mean())))
        low, high = interval(slope, independent, 38)
        usual += low <= 0.4 <= high
    assert within >= 0.88 * runs
    if correlation >= 0.8:
        # This is what the usual interval does.
        assert usual < 0.6 * runs


def test_independent_residuals_have_about_the_usual_error():
    generator = np.random.default_rng(1)
    errors, usual = [], []
    for _ in range(30):
        _, residual = line(X, generator.normal(size=len(X)))
        errors.append(slope_error(X, residual).error)
        usual.append(np.sqrt(residual @ residual / 38 / ((X - X.mean()) @ (X - X.mean()))))
    assert 1 <= np.mean(errors) / np.mean(usual) < 1.4


def test_thousands_of_residuals_have_nearly_the_error_of_every_tenth_of_them():
    x = np.log(np.linspace(4, 16, 4000))
    _, residual = line(x, 0.4 * x + process(np.random.default_rng(2), 0.999, 4000))
    assert slope_error(x, residual).error == pytest.approx(slope_error(x[::10], residual[::10]).error, rel=0.4)


def test_a_smooth_misfit_has_the_largest_correlation():
    _, residual = line(X, np.sin(X))
    assert slope_error(X, residual).correlation == pytest.approx(0.999)
