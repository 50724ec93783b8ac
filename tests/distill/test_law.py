"""Saturating laws against sums, quadrature and the inverse of the law."""

import numpy as np
import pytest
from scipy.integrate import quad

from distill.law import Law, cycles_to_reach

LAWS = [
    Law("geometric", 2.5, (1.0,), (0.5,)),
    Law("stretched", 0.4, (1.0,), (0.3,), stretch=0.6),
    Law("two_rates", 7.0, (0.25, 0.75), (0.05, 0.9)),
]


def plain(law, cycle):
    terms = zip(law.shares, law.rates, strict=True)
    return law.saturation * sum(share * (1 - np.exp(-((rate * cycle) ** law.stretch))) for share, rate in terms)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_growth_is_the_difference_of_the_law_at_both_ends(law):
    start, end = np.array([0.0, 0.3, 1.0, 5.5]), np.array([1.0, 0.4, 4.0, 6.5])
    expected = plain(law, end) - plain(law, start)
    np.testing.assert_allclose(law.growth(start, end), expected, rtol=1e-12)
    np.testing.assert_allclose(law.values(end), plain(law, end), rtol=1e-12)
    np.testing.assert_allclose(law.increments(3, 4), np.diff(plain(law, np.arange(2.0, 7.0))), rtol=1e-12)
    assert law.rest(4) == pytest.approx(law.saturation - plain(law, 4.0), rel=1e-12)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_increments_are_positive_and_decrease_far_beyond_the_digits_of_the_curve(law):
    increments = law.increments(1, 300)
    assert (increments > 0).all()
    assert (np.diff(increments) < 0).all()


def test_late_increments_keep_all_digits():
    # The curve itself is 1 - 1e-43 here.
    assert LAWS[0].increments(200, 1)[0] == pytest.approx(2.5 * np.exp(-0.5 * 199) * (1 - np.exp(-0.5)), rel=1e-12)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_the_area_in_a_cycle_is_the_integral_of_the_law(law):
    expected = [quad(lambda cycle: plain(law, cycle), end - 1, end, epsabs=1e-13)[0] for end in range(1, 9)]
    np.testing.assert_allclose(law.areas(8), expected, rtol=1e-9)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
@pytest.mark.parametrize("share", [0.1, 0.9502, 1 - 1e-9])
def test_a_law_reaches_a_share_of_its_end_after_the_cycles_returned(law, share):
    assert float(law.values(cycles_to_reach(law, share))) == pytest.approx(share * law.saturation, rel=1e-12)
