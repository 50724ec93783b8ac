"""The measured influence against linear response."""

import numpy as np
import pytest
from scipy.optimize import brentq

from astro_sim import SimulationParameters, simulate
from distill import distil
from distill.coupling import fit_kernel
from distill.linear_response import critical_strength, linear_response, predicted_scales, restoring_strength
from rmaat.base.errors import UsageError

# The measured influence against linear response.

RESTORING = 0.5
"""`restoring_strength` of the default parameters"""


def by_linear_response(traces):
    """The kernel fitted to the predicted influence of the coupling in `traces`, between the same synapses."""
    synapses = traces.sizes["source"]
    coupling = traces["coupling"].values.reshape(synapses, synapses)
    distance = traces["synapse_distance"].values.reshape(synapses, synapses)
    once = np.triu_indices(synapses, 1)
    return fit_kernel(distance[once], linear_response(coupling, RESTORING)[once])


@pytest.mark.parametrize("strength", [0.0005, 0.005, 0.02, 0.05])
def test_the_measured_scale_departs_from_the_injected_one_as_linear_response_predicts(strength):
    traces = simulate(SimulationParameters().override({"coupling_strength": strength, "run_duration": 150}))
    measured, predicted = distil(traces).dataset, by_linear_response(traces)
    assert float(measured["influence_scale"]) == pytest.approx(predicted.scale, rel=1e-6)
    assert float(measured["influence_amplitude"]) == pytest.approx(predicted.amplitude, rel=1e-6)
    assert float(measured["coupling_scale"]) == pytest.approx(1.0, rel=1e-9)


def test_the_injected_scale_is_recovered_as_coupling_weakens():
    errors = []
    for strength in (0.01, 0.001, 0.0001):
        traces = simulate(SimulationParameters().override({"coupling_strength": strength, "run_duration": 150}))
        errors.append(1 - float(distil(traces).dataset["influence_scale"]))
    assert errors[0] < 0.1
    assert errors[2] < 1e-3
    assert errors[0] > 5 * errors[1] > 25 * errors[2] > 0


def test_on_a_long_line_linear_response_decays_by_the_root_of_its_equation():
    # On a line T p = restoring p is solved by p_n = z^n with restoring = strength (q z / (1 - q z) + q / (z - q)).
    strength, decay, synapses = 0.05, np.exp(-1.0), 201
    place = np.arange(synapses)
    coupling = strength * decay ** np.abs(place[:, None] - place)
    np.fill_diagonal(coupling, 0)
    z = brentq(lambda z: strength * (decay * z / (1 - decay * z) + decay / (z - decay)) - RESTORING, decay + 1e-9, 0.99)
    influence = linear_response(coupling, RESTORING)[synapses // 2]
    np.testing.assert_allclose(influence[120:140] / influence[119:139], z, rtol=1e-9)
    # With few paths over third synapses z is the coupling's own decay; here it is already larger.
    assert decay < z < 0.5


def test_the_default_parameters_restore_rest_with_a_half():
    assert restoring_strength(SimulationParameters()) == RESTORING


def test_the_predicted_scale_reaches_the_scale_put_in_as_coupling_weakens():
    assert predicted_scales(SimulationParameters(), np.array([1e-6]))[0] == pytest.approx(1, abs=1e-5)


def test_rest_is_unstable_just_above_the_critical_strength():
    critical = critical_strength(SimulationParameters())
    with pytest.raises(UsageError, match="the short-term process never returns to rest"):
        simulate(SimulationParameters().override({"coupling_strength": 1.001 * critical, "run_duration": 50}))
