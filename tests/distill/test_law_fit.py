"""Which law a curve follows, and how surely."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from distill import DistillError
from distill.law import Law
from distill.law_fit import choose_law, fit_laws, fit_laws_until_exact, fit_rate

CYCLE = np.arange(1.0, 17)
TRUTH = {
    "geometric": Law("geometric", 0.4, (1.0,), (0.25,)),
    "stretched": Law("stretched", 0.4, (1.0,), (0.25,), stretch=0.5),
    "two_rates": Law("two_rates", 0.4, (0.5, 0.5), (0.08, 1.2)),
}


@pytest.mark.parametrize("name", TRUTH)
def test_each_law_is_chosen_for_its_own_curve_and_recovered(name):
    truth = TRUTH[name]
    chosen = choose_law(fit_laws(truth.values(CYCLE)), len(CYCLE))
    assert chosen.law.name == name
    assert chosen.law.saturation == pytest.approx(truth.saturation, rel=1e-5)
    assert sorted(chosen.law.rates) == pytest.approx(truth.rates, rel=1e-5)
    assert chosen.law.stretch == pytest.approx(truth.stretch, rel=1e-5)
    assert max(chosen.residual, chosen.prediction_error) < 1e-6


@pytest.mark.parametrize("name", ["stretched", "two_rates"])
def test_each_law_is_chosen_under_noise_too_if_it_differs_from_the_others(name):
    noise = np.random.default_rng(1).normal(0, 2e-4, len(CYCLE))
    chosen = choose_law(fit_laws(TRUTH[name].values(CYCLE) + noise), len(CYCLE))
    assert chosen.law.name == name


def test_noise_alone_does_not_lead_to_a_law_with_more_parameters():
    generator = np.random.default_rng(2)
    names = [
        choose_law(fit_laws(TRUTH["geometric"].values(CYCLE) + generator.normal(0, 2e-3, 16)), 16).law.name
        for _ in range(20)
    ]
    assert names.count("geometric") >= 15


@pytest.mark.parametrize(("name", "compared"), [("geometric", 1), ("stretched", 3), ("two_rates", 3)])
def test_an_exact_geometric_law_is_chosen_without_fitting_the_others(name, compared):
    growth = TRUTH[name].values(CYCLE)
    sooner = fit_laws_until_exact(growth)
    assert sooner == fit_laws(growth)[:compared]
    assert choose_law(sooner, len(CYCLE)) == choose_law(fit_laws(growth), len(CYCLE))


def test_the_prediction_error_is_that_of_fits_without_the_predicted_cycles():
    growth = TRUTH["stretched"].values(CYCLE[:6])
    errors = []
    for left_out in range(6):
        kept = np.arange(6) != left_out
        values, _ = curve_fit(
            lambda n, s, a: s * (1 - np.exp(-a * n)), CYCLE[:6][kept], growth[kept], p0=(growth[-1], 0.5)
        )
        errors.append(values[0] * (1 - np.exp(-values[1] * (left_out + 1))) - growth[left_out])
    expected = np.sqrt(np.mean(np.square(errors))) / growth[-1]
    assert fit_laws(growth)[0].prediction_error == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("cycles", "names"), [(3, 1), (4, 2), (5, 3), (20, 3)])
def test_a_law_is_fitted_only_if_as_many_cycles_remain_as_it_has_parameters(cycles, names):
    assert len(fit_laws(TRUTH["geometric"].values(np.arange(1.0, cycles + 1)))) == names


def test_the_rate_and_its_error_are_those_of_an_independent_least_squares_fit():
    growth = TRUTH["geometric"].values(CYCLE) + np.random.default_rng(3).normal(0, 2e-3, 16)
    values, covariance = curve_fit(lambda n, s, a: s * (1 - np.exp(-a * n)), CYCLE, growth, p0=(0.4, 0.3))
    rate = fit_rate(growth)
    assert rate.value == pytest.approx(values[1], rel=1e-5)
    assert rate.error == pytest.approx(np.sqrt(covariance[1, 1]), rel=1e-3)


def test_the_interval_of_the_rate_holds_the_truth_in_about_95_percent():
    generator = np.random.default_rng(4)
    within = 0
    for _ in range(60):
        low, high = fit_rate(TRUTH["geometric"].values(CYCLE) + generator.normal(0, 2e-3, 16)).interval
        within += low <= 0.25 <= high
    # 57 of 60 are expected; fewer than 50 have a chance below 1e-4.
    assert within >= 50


def test_growth_that_does_not_saturate_is_refused():
    with pytest.raises(DistillError, match="does not saturate within the traces"):
        fit_laws(CYCLE**1.1)
