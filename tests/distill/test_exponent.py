"""The power law between cumulative activity and response."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_sim import SimulationParameters, simulate, simulate_batch
from distill import DistillError, DistillParameters, distil
from distill.distillation import fit_exponent
from distill.exponent import fit_power_law

TIME = np.linspace(0, 25, 51)


@settings(deadline=None, max_examples=40)
@given(st.floats(0.05, 1), st.floats(0.1, 1), st.floats(1e-3, 10))
def test_an_exact_power_law_is_recovered(exponent, activity, factor):
    # Constant activity makes the cumulative activity exactly activity * time.
    law = fit_power_law(TIME, np.full_like(TIME, activity), factor * (activity * TIME) ** exponent, start=0.5)
    assert law.exponent == pytest.approx(exponent, rel=1e-9)
    assert law.exponent_error < 1e-9
    assert law.residual < 1e-9


def test_cumulative_activity_is_the_trapezoid_integral_of_an_activity_that_changes():
    activity = 0.1 + TIME / 50
    cumulative = 0.1 * TIME + TIME**2 / 100
    law = fit_power_law(TIME, activity, cumulative**0.25, start=0.0)
    assert law.exponent == pytest.approx(0.25, rel=1e-9)


def test_the_fit_states_its_range_from_the_given_share_of_the_peak_to_the_end():
    response = TIME / 25  # linear: half of the peak is reached at 12.5 s
    law = fit_power_law(TIME, np.full_like(TIME, 0.8), response, start=0.5)
    assert law.activity_range == pytest.approx((0.8 * 12.5, 0.8 * 25))


def test_a_break_of_the_law_below_the_range_has_no_effect():
    response = np.where(TIME < 5, 1e-3 * TIME, TIME**0.3)
    law = fit_power_law(TIME, np.ones_like(TIME), response, start=0.7)
    assert law.exponent == pytest.approx(0.3, rel=1e-9)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_stored_times_are_refused(count):
    time = np.arange(1.0, count + 1)
    with pytest.raises(DistillError, match=r"stored times lie above 0\.5 of the peak response; store the traces more"):
        fit_power_law(time, np.ones(count), time, start=0.5)


def test_four_points_in_the_range_are_enough_and_three_are_not():
    response = np.sqrt(TIME)
    peak_shares = response / response.max()
    assert fit_power_law(TIME, np.ones_like(TIME), response, start=peak_shares[-4]).exponent == pytest.approx(0.5)
    with pytest.raises(DistillError, match="only 3 stored times"):
        fit_power_law(TIME, np.ones_like(TIME), response, start=peak_shares[-3])


def test_a_drive_that_only_inhibits_is_refused():
    parameters = {"drive_strongest": -1.0, "drive_weakest": -1.0, "run_duration": 150}
    with pytest.raises(DistillError, match="give presynaptic neurons a positive drive"):
        fit_exponent(simulate(SimulationParameters().override(parameters)), DistillParameters())


def test_the_exponent_of_the_default_simulation_is_stable(tables):
    assert tables.exponent == pytest.approx(0.414, abs=0.005)
    # The residuals are a smooth misfit, so that the interval is as wide as the table of docs/distillation.md is.
    assert 0.1 < float(tables.dataset["exponent_error"]) < 0.2
    # 25 s of stimulus at activities tanh(0.6) to tanh(1): the range ends within 0.54 * 25 s and 0.76 * 25 s.
    low, high = tables.dataset["exponent_range"].values
    assert 0 < low < 0.54 * 25 < high < 0.76 * 25
    # Four times as many stored times change it by less than its own error.
    finer = distil(simulate(SimulationParameters().override({"recording_interval": 0.125, "run_duration": 150})))
    assert abs(finer.exponent - tables.exponent) < 0.02
    assert float(finer.dataset["exponent_error"]) == pytest.approx(float(tables.dataset["exponent_error"]), rel=0.1)


def documented(first_cell):
    """Head and row, as numbers, of the table of docs/distillation.md whose head starts with `first_cell`."""
    lines = (Path(__file__).parents[2] / "docs" / "distillation.md").read_text().splitlines()
    head = next(place for place, line in enumerate(lines) if line.startswith(f"| {first_cell}"))
    cells = (lines[place].strip("| ").split(" | ")[1:] for place in (head, head + 2))
    return [[float(cell.split(",")[0]) for cell in row] for row in cells]


def test_the_exponents_of_other_ranges_in_the_documentation_are_those_of_the_default_simulation(traces):
    starts, exponents = documented("start of the range")
    found = [fit_exponent(traces, DistillParameters(exponent_range_start=start)).exponent for start in starts]
    assert [round(exponent, 2) for exponent in found] == exponents


def test_the_exponents_of_other_stimuli_in_the_documentation_are_those_of_simulations():
    durations, exponents = documented("length of the stimulus")
    base = SimulationParameters().override({"cycle_duration": 100.0, "run_duration": 100.0})
    runs = simulate_batch([base.override({"stimulus_duration": duration}) for duration in durations])
    # The first is too large for attention; its error names it.
    with pytest.raises(DistillError, match=f"to the power {exponents[0]}"):
        fit_exponent(runs[0], DistillParameters())
    found = [fit_exponent(run, DistillParameters()).exponent for run in runs[1:]]
    assert [round(exponent, 2) for exponent in found] == exponents[1:]


def test_the_exponent_falls_as_the_range_moves_towards_saturation(traces):
    shares = (0.1, 0.5, 0.9)
    exponents = [distil(traces, DistillParameters(exponent_range_start=share)).exponent for share in shares]
    assert exponents[0] > exponents[1] > exponents[2] > 0
