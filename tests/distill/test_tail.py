"""Increments after the simulated cycles against longer simulations, where no law is exact."""

import warnings

import numpy as np
import pytest

from astro_sim import SimulationParameters, simulate
from distill import DistillParameters, distil
from distill.readings import cycle_areas, long_term_curves
from distill.retention import continued_areas
from distill.schema import continuation_of

CHANGES = {
    "no restarts": {},
    "feedback": {"long_term_feedback": 0.2},
    "soft bound": {"long_term_growth": "soft_bound"},
}


@pytest.fixture(scope="module", params=CHANGES)
def run(request):
    """24 cycles in which the fast variables do not restart."""
    fixed = {"restart_fast_variables": False, "run_duration": 1200.0, "recording_interval": 1.0}
    with warnings.catch_warnings(action="ignore"):
        return simulate(SimulationParameters().override(fixed | CHANGES[request.param]))


def beginning(traces, cycles):
    return traces.isel(cycle=slice(cycles)).sel(time=slice(0, 50.0 * cycles))


@pytest.mark.slow
@pytest.mark.parametrize("cycles", [4, 6, 8, 12])
def test_the_stated_intervals_cover_the_increments_of_24_cycles(run, cycles):
    increments = np.diff(long_term_curves(run)[0])
    found = distil(beginning(run, cycles), DistillParameters(segments=24)).dataset
    assert int(found["increment_simulated"].sum()) == cycles
    off = np.abs(found["increment"].values - increments)[cycles:]
    assert (off <= 1.96 * found["increment_error"].values[cycles:]).all()
    assert (found["increment_error"].values[cycles:] > 0).all()


@pytest.mark.parametrize("cycles", [4, 6, 8, 12])
def test_the_interval_of_the_rate_covers_the_asymptotic_rate(run, cycles):
    asymptotic = -np.diff(np.log(np.diff(long_term_curves(run)[0])))[15]
    low, high = distil(beginning(run, cycles), DistillParameters(segments=4)).dataset["increment_rate_interval"].values
    assert low < asymptotic < high


def test_the_increments_continue_closer_than_those_of_the_law_fitted_to_all_cycles(run):
    increments = np.diff(long_term_curves(run)[0])
    tables = distil(beginning(run, 8), DistillParameters(segments=24))
    law = tables.dataset["increment"].values[7] * np.exp(-tables.increment_rate * np.arange(1, 17))
    ours, theirs = (np.abs(found / increments[8:] - 1) for found in (tables.dataset["increment"].values[8:], law))
    assert (ours < theirs / 5).all()
    assert theirs[-1] > 0.15


def test_without_restarts_the_last_increments_have_the_rate_of_the_equations():
    fixed = {"restart_fast_variables": False, "run_duration": 400.0}
    with warnings.catch_warnings(action="ignore"):
        tables = distil(simulate(SimulationParameters().override(fixed)))
    # cycle_duration / long_term_time_constant = 50 s / 100 s
    assert continuation_of(tables.dataset).rates[0] == pytest.approx(0.5, abs=1e-6)
    factors = tables.streaming()
    np.testing.assert_allclose([next(factors) for _ in range(64)], tables.retention_parts(64, "streaming")[0])


def test_an_exact_law_has_no_tail(tables):
    assert "tail_rate" not in tables.dataset
    assert continuation_of(tables.dataset).name == "geometric"


# The area under the simulated curve.


@pytest.fixture(scope="module")
def twelve_cycles():
    return simulate(SimulationParameters().override({"run_duration": 600.0}))


def test_the_area_of_the_trace_is_the_integral_of_the_mean_process(traces):
    mean = traces["long_term_process"].mean(("post", "pre"))
    expected = [
        np.trapezoid(cycle.values, cycle["time"].values) / 50
        for cycle in (mean.sel(time=slice(start, start + 50)) for start in range(0, 300, 50))
    ]
    np.testing.assert_allclose(cycle_areas(traces), expected, rtol=1e-12)


def test_the_factors_of_the_trace_area_are_not_those_of_the_law(tables):
    assert tables.retention(6, "area")[0] == pytest.approx(0.052, abs=5e-4)
    assert tables.retention(6, "trace_area")[0] == pytest.approx(0.0617, abs=5e-5)


def test_the_areas_after_the_simulated_cycles_are_those_of_a_longer_simulation(tables, twelve_cycles):
    areas = cycle_areas(twelve_cycles)
    np.testing.assert_allclose(tables.retention(12, "trace_area"), areas / areas.sum(), rtol=1e-6)


def test_areas_without_restarts_continue_within_a_thousandth(run):
    increments, areas = np.diff(long_term_curves(run)[0]), cycle_areas(run)
    np.testing.assert_allclose(continued_areas(areas[:8], increments), areas, rtol=1e-3)


def test_areas_need_no_more_cycles_than_are_asked_for(traces):
    areas, increments = cycle_areas(traces), np.diff(long_term_curves(traces)[0])
    np.testing.assert_array_equal(continued_areas(areas, increments[:2]), areas[:2])


def test_traces_with_few_times_leave_out_the_area_of_the_trace(traces):
    ends = traces.sel(time=[0.0, *np.arange(1.0, 26.0), *traces["cycle_end"].values])
    tables = distil(ends)
    assert "trace_area" not in tables.variants
    assert "a gap of 50 s in cycles of 50 s" in tables.left_out["trace_area"]
