"""Derivatives of a run against differences of separate runs and against closed forms."""

import numpy as np
import pytest

from astro_sim import SimulationParameters, simulate
from astro_sim.engines.tangents import measure_sensitivities, smooth_parameters, unit_of
from rmaat.base.records import ParameterError

TIMES = np.array([7.5, 25.0, 40.0, 50.0, 100.0])
SHORT = SimulationParameters().override({"run_duration": 100})
OTHER_FORMS = SHORT.override(
    {
        "long_term_drive": "hill",
        "long_term_growth": "soft_bound",
        "neuron_response": "rectified_tanh",
        "restart_fast_variables": "false",
        "coupling_given_by": "spectral_radius",
        "layout": "random",
        "synapse_bias": 0.01,
        "long_term_feedback": 0.2,
    }
)
CASES = {
    "default": (
        SHORT,
        [
            "long_term_time_constant",
            "short_term_time_constant",
            "short_term_gain",
            "coupling_strength",
            "coupling_scale",
            "drive_strongest",
            "synapse_bias",
        ],
    ),
    "other forms": (OTHER_FORMS, ["hill_exponent", "coupling_spectral_radius", "synapse_time_constant"]),
}


def difference(parameters: SimulationParameters, name: str, labels: list[str]) -> dict[str, np.ndarray]:
    """Richardson extrapolation of central differences, from four runs."""
    value, quantity = smooth_parameters(parameters)[name]
    unit = unit_of(value, quantity)

    def central(step: float) -> dict[str, np.ndarray]:
        ends = [simulate(parameters.override({name: value + sign * step * unit})).sel(time=TIMES) for sign in (1, -1)]
        return {label: (ends[0][label].values - ends[1][label].values) / (2 * step * unit) for label in labels}

    coarse, fine = central(4e-3), central(2e-3)
    return {label: (4 * fine[label] - coarse[label]) / 3 for label in labels}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:cycle_duration is", "ignore:the long-term process grew")
@pytest.mark.parametrize("case", CASES)
def test_derivatives_equal_differences_of_separate_runs_to_a_millionth(case):
    parameters, names = CASES[case]
    found = measure_sensitivities(parameters, names, TIMES)
    tight = parameters.override({"relative_tolerance": 1e-12})
    for place, name in enumerate(names):
        for label, expected in difference(tight, name, ["long_term_process", "short_term_process"]).items():
            error = np.abs(found.slopes[label][..., place] - expected).max()
            assert error <= 1e-6 * np.abs(expected).max(), (name, label)


def test_values_equal_those_of_a_plain_run():
    found = measure_sensitivities(SHORT, ["short_term_gain"], TIMES)
    traces = simulate(SHORT).sel(time=TIMES)
    for label, values in found.values.items():
        np.testing.assert_allclose(values, traces[label].values, rtol=0, atol=1e-7)


def test_a_neuron_without_input_has_the_derivatives_of_its_exponential():
    found = measure_sensitivities(SHORT, ["neuron_time_constant", "neuron_decay", "drive_strongest"], np.array([0.7]))
    time, constant = 0.7, 0.5
    left = np.exp(-time / constant)
    expected = [-left * time / constant**2, -(1 - left) + left * time / constant, 1 - left]
    np.testing.assert_allclose(found.slopes["presynaptic_activity"][0, 0], expected, rtol=1e-6)


def test_a_parameter_that_no_equation_uses_has_derivative_0():
    found = measure_sensitivities(SHORT, ["hill_exponent"], TIMES)
    assert not np.any(found.slopes["long_term_process"])


def test_at_a_bound_the_derivative_is_one_sided():
    uncoupled = SHORT.override({"coupling_strength": 0.0})
    found = measure_sensitivities(uncoupled, ["coupling_strength"], TIMES).slopes["long_term_process"][..., 0]
    near = SHORT.override({"coupling_strength": 1e-5})
    beside = measure_sensitivities(near, ["coupling_strength"], TIMES).slopes["long_term_process"][..., 0]
    np.testing.assert_allclose(found, beside, rtol=1e-3)
    assert (found[1:] > 0).all()


@pytest.mark.parametrize("name", ["cycle_duration", "layout", "coupling_spectral_radius", "presynaptic_neurons"])
def test_a_parameter_without_a_derivative_is_refused(name):
    with pytest.raises(ParameterError, match=f"unknown parameter to differentiate by, '{name}'"):
        measure_sensitivities(SHORT, [name], TIMES)
