import math

import numpy as np
import pytest

from astro_sim.coupling import LARGEST_DENSE, apply_coupling, build_coupling, spectral_radius
from astro_sim.geometry import build_geometry
from astro_sim.parameters import NetworkParameters
from rmaat.records import ParameterError


@pytest.fixture(params=["line", "random", "equal"])
def distance(request: pytest.FixtureRequest) -> np.ndarray:
    return build_geometry(
        NetworkParameters(presynaptic_neurons=4, postsynaptic_neurons=3, layout=request.param, seed=5)
    ).distance


def test_applied_coupling_is_the_sum_over_all_other_synapses(distance: np.ndarray):
    signal = np.random.default_rng(0).normal(size=(3, 4))
    expected = np.zeros((3, 4))
    for i in range(3):
        for j in range(4):
            for k in range(3):
                for l in range(4):  # noqa: E741
                    if (i, j) != (k, l):
                        expected[i, j] += 0.3 * math.exp(-0.7 * distance[i, j, k, l]) * signal[k, l]
    np.testing.assert_allclose(apply_coupling(build_coupling(distance, 0.3, 0.7), signal), expected, rtol=1e-13)


def test_coupling_is_symmetric_and_no_synapse_couples_to_itself(distance: np.ndarray):
    tensor = build_coupling(distance, 0.3, 0.7)
    np.testing.assert_array_equal(tensor, tensor.transpose(2, 3, 0, 1))
    assert all(tensor[ij + ij] == 0 for ij in np.ndindex(3, 4))


def test_the_spectral_radius_of_equal_coupling_is_strength_times_the_other_synapses():
    tensor = build_coupling(build_geometry(NetworkParameters(layout="equal")).distance, 0.05, 1.0)
    assert spectral_radius(tensor) == pytest.approx(0.05 * math.exp(-1) * 8)


def test_a_network_too_large_for_a_dense_tensor_is_refused():
    with pytest.raises(ParameterError, match=f"17 x 16 neurons have 272 synapses, more than the {LARGEST_DENSE}"):
        build_coupling(np.ones((16, 17, 16, 17)), 0.05, 1.0)
