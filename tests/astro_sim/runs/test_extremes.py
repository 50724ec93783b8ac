"""Parameters at their bounds: traces are finite and agree with what is known, or the error names the cause."""

import numpy as np
import pytest
import xarray as xr

from astro_sim import SimulationParameters, simulate
from distill import DistillError, distil
from rmaat.base.records import ParameterError

# The fastest time constant is two million times shorter than the slowest.
STIFF = {
    "neuron_time_constant": 0.01,
    "synapse_time_constant": 0.01,
    "short_term_time_constant": 0.1,
    "long_term_time_constant": 20_000.0,
}
SILENT = {"presynaptic_pattern": [0.0] * 3, "postsynaptic_pattern": [0.0] * 3}
HUGE = {"presynaptic_pattern": [100.0] * 3, "postsynaptic_pattern": [100.0] * 3, "synaptic_weight": 100.0}
ONE = {"presynaptic_neurons": 1, "postsynaptic_neurons": 1}
HUNDRED_THOUSAND = {
    "presynaptic_neurons": 320,
    "postsynaptic_neurons": 320,
    "layout": "grid",
    "coupling_strength": 0.001,
    "coupling_scale": 2.0,
    "recording_interval": 1.0,
    "run_duration": 2.0,
    "cycle_duration": 2.0,
    "stimulus_duration": 1.0,
    "method": "dop853",
    "relative_tolerance": 1e-4,
    "absolute_tolerance": 1e-6,
}


def traces_with(changes: dict) -> xr.Dataset:
    return simulate(SimulationParameters().override(changes))


def assert_finite(traces: xr.Dataset) -> None:
    for name, values in traces.data_vars.items():
        if values.dtype.kind == "f":
            assert np.isfinite(values.values).all(), name


def increments(traces: xr.Dataset) -> np.ndarray:
    ends = traces.long_term_process.sel(time=traces.cycle_end.values).mean(("post", "pre")).values
    return np.diff(ends, prepend=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lsoda", "dop853"])
def test_time_constants_over_six_decades_keep_the_geometric_law(method: str):
    traces = traces_with(STIFF | {"method": method, "run_duration": 150.0})
    assert_finite(traces)
    found = increments(traces)
    # exp(-50 s / 20,000 s) from cycle to cycle.
    np.testing.assert_allclose(found[1:] / found[:-1], np.exp(-50 / 20_000), rtol=1e-5)


def test_the_slowest_synapses_beside_the_fastest_neurons_are_simulated():
    traces = traces_with(STIFF | {"synapse_time_constant": 100.0, "run_duration": 100.0})
    assert_finite(traces)
    # The fast neuron is at its steady state, its drive by its decay.
    assert traces.presynaptic_activity.sel(time=24.0).values == pytest.approx([1.0, 0.8, 0.6])


def test_without_drive_all_variables_stay_zero_and_distillation_names_the_cause():
    traces = traces_with(SILENT | {"run_duration": 150.0})
    assert_finite(traces)
    assert not traces.long_term_process.values.any()
    with pytest.raises(DistillError, match=r"the long-term process stays at its start.*; give a drive"):
        distil(traces)


def test_the_strongest_drive_saturates_the_synapses():
    traces = traces_with(HUGE | {"run_duration": 150.0})
    assert_finite(traces)
    # tanh of both activities is 1: the synapse rests where its decay balances 1 and the astrocyte's feedback.
    expected = 1 + np.tanh(traces.short_term_process.sel(time=24.5).values)
    np.testing.assert_allclose(traces.synaptic_facilitation.sel(time=24.5).values, expected, rtol=1e-2)
    distil(traces)


@pytest.mark.parametrize("value", [1e3, 1e300, np.inf, np.nan])
def test_a_drive_beyond_its_bounds_is_refused_by_name(value: float):
    with pytest.raises(ParameterError, match="presynaptic_pattern"):
        traces_with({"presynaptic_pattern": [value, 0.0, 0.0]})


def test_one_synapse_is_a_network():
    traces = traces_with(ONE)
    assert_finite(traces)
    assert not traces.coupling.values.any()
    found = increments(traces)
    np.testing.assert_allclose(found[1:] / found[:-1], np.exp(-0.5), rtol=1e-5)


@pytest.mark.slow
def test_a_hundred_thousand_synapses_are_simulated():
    traces = traces_with(HUNDRED_THOUSAND)
    assert traces.sizes["post"] * traces.sizes["pre"] > 100_000
    assert_finite(traces)
    assert increments(traces)[0] > 0
