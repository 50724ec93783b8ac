"""Departures from the geometric law and the time course of p^s, on curves with known values."""

import numpy as np
import pytest
import xarray as xr

from benchmarks.forms import departures, time_course


def array(values, times):
    return xr.DataArray(np.asarray(values, float), dims=("time", "post", "pre"), coords={"time": times})


def test_a_geometric_curve_does_not_depart_and_synapses_of_equal_rate_agree():
    curve = 1 - np.exp(-0.1 * np.arange(1, 33))
    found = departures(array(curve[:, None, None] * np.array([[1, 2], [3, 4]]), np.arange(32)), 0.1)
    assert found["from_law"] == pytest.approx(0, abs=1e-14)
    assert found["between_synapses"] == pytest.approx(0, abs=1e-14)


def test_departures_are_the_largest_differences_of_shares():
    # Increments 3, 1 and 2, 2: shares .75, .25 and .5, .5; of the mean .625, .375.
    found = departures(array([[[3, 2]], [[4, 4]]], [0, 1]), 0.0)
    assert found == {"from_law": pytest.approx(0.125), "between_synapses": pytest.approx(0.25)}


def test_the_time_course_is_that_of_a_ramp_and_a_decay():
    times = np.linspace(0, 40, 4001)
    curve = np.where(times < 10, times / 10, np.exp(-(times - 10) / 5))
    found = time_course(array(curve[:, None, None], times))
    assert found == pytest.approx({"rise_seconds": 8, "peak_seconds": 10, "fall_seconds": 5}, abs=1e-2)
