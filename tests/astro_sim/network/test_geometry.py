import numpy as np
import pytest

from astro_sim.network.geometry import build_geometry
from astro_sim.parameters import NetworkParameters


def network(layout: str = "line", seed: int = 0) -> NetworkParameters:
    return NetworkParameters(presynaptic_neurons=4, postsynaptic_neurons=3, layout=layout, seed=seed)


def test_a_synapse_is_midway_between_its_neurons():
    position = build_geometry(network()).position
    for post in range(3):
        for pre in range(4):
            np.testing.assert_allclose(position[post, pre], [(0 + 1) / 2, (pre + post) / 2])


@pytest.mark.parametrize("layout", ["line", "random", "grid"])
def test_distances_are_measured_between_positions(layout: str):
    geometry = build_geometry(network(layout))
    for ij in np.ndindex(3, 4):
        for kl in np.ndindex(3, 4):
            (x, y), (u, v) = geometry.position[ij], geometry.position[kl]
            assert geometry.distance_from(kl)[ij] == pytest.approx(((x - u) ** 2 + (y - v) ** 2) ** 0.5)


def test_the_equal_layout_has_one_distance_between_different_synapses():
    geometry = build_geometry(network("equal"))
    distance = np.stack([geometry.distance_from(source).ravel() for source in np.ndindex(3, 4)])
    np.testing.assert_array_equal(distance, 1 - np.eye(12))


def test_the_grid_places_synapses_at_grid_points():
    geometry = build_geometry(network("grid"))
    assert geometry.shape == (3, 4)
    assert geometry.position[2, 1].tolist() == [1, 2]
    assert geometry.distance_from((0, 0))[2, 1] == pytest.approx(5**0.5)


def test_city_block_distance_sums_the_steps_along_both_axes():
    parameters = NetworkParameters(presynaptic_neurons=4, layout="grid", distance_measure="city_block")
    assert build_geometry(parameters).distance_from((0, 3))[2, 1] == 4


def test_the_random_layout_depends_on_the_seed_only():
    first, again, other = (build_geometry(network("random", seed)).position for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
