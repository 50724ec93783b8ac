import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_sim.network.scan import LONGEST_SPAN, ExponentialScan


@settings(max_examples=100, deadline=None)
@given(
    gaps=st.lists(st.floats(1e-3, 300), min_size=0, max_size=30),
    scale=st.floats(0, 50),
    others=st.sampled_from([(), (1,), (3,), (2, 2)]),
)
def test_a_scan_is_the_product_with_the_matrix_of_exponentials(gaps, scale, others):
    places = np.concatenate([[0.0], np.cumsum(gaps)]) - 7
    matrix = np.exp(-scale * np.abs(places[:, None] - places))
    np.fill_diagonal(matrix, 0)
    values = np.random.default_rng(0).normal(size=(places.size, *others))
    expected, largest = (np.tensordot(matrix, weights, 1) for weights in (values, np.abs(values)))
    difference = np.abs(ExponentialScan(places, scale)(values) - expected)
    # A factor between blocks may be near the smallest float, 5e-324, and so have few digits; growth then scales it up.
    floor = 10 * np.exp(LONGEST_SPAN) * 5e-324 * np.abs(values).sum()
    assert (difference <= 1e-12 * largest + floor).all()


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_a_long_line_neither_overflows_nor_loses_near_synapses(scale: float):
    found = ExponentialScan(np.arange(10_000.0), scale)(np.ones(10_000))
    assert found[5000] == pytest.approx(2 * np.exp(-scale) / -np.expm1(-scale), rel=1e-12)


def test_a_scan_does_not_change_its_input():
    values = np.ones((4, 2))
    ExponentialScan(np.arange(4.0), 1.0)(values)
    np.testing.assert_array_equal(values, 1)
