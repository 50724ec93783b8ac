import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_sim.network import coupling as module
from astro_sim.network.coupling import (
    LARGEST_DENSE,
    CityBlockCoupling,
    Coupling,
    DenseCoupling,
    EqualCoupling,
    FourierCoupling,
    LineCoupling,
    as_matrix,
    build_coupling,
    dense_coupling,
    sources_to_store,
)
from astro_sim.network.geometry import Geometry, build_geometry
from astro_sim.parameters import NetworkParameters
from rmaat.base.arrays import Array
from rmaat.base.records import ParameterError

KINDS = {
    ("line", "euclidean"): LineCoupling,
    ("random", "euclidean"): LineCoupling,
    ("grid", "euclidean"): FourierCoupling,
    ("grid", "city_block"): CityBlockCoupling,
    ("equal", "euclidean"): EqualCoupling,
}
EVERY_KIND = pytest.mark.parametrize(("layout", "measure"), KINDS)


def network(layout: str, measure: str, post: int, pre: int, **others) -> NetworkParameters:
    return NetworkParameters(
        presynaptic_neurons=pre, postsynaptic_neurons=post, layout=layout, distance_measure=measure, **others
    )


def four_index_sum(geometry: Geometry, strength: float, scale: float, signal: Array) -> Array:
    """The definition, a sum over four indices."""
    expected = np.zeros(geometry.shape)
    for ij in np.ndindex(*geometry.shape):
        distance = geometry.distance_from(ij)
        for kl in np.ndindex(*geometry.shape):
            if ij != kl:
                expected[ij] += strength * math.exp(-scale * distance[kl]) * signal[kl]
    return expected


@EVERY_KIND
def test_the_dense_coupling_is_the_sum_over_all_other_synapses(layout: str, measure: str):
    geometry = build_geometry(network(layout, measure, 3, 4, seed=5))
    signal = np.random.default_rng(0).normal(size=(3, 4))
    found = dense_coupling(geometry, 0.3, 0.7).apply(signal)
    np.testing.assert_allclose(found, four_index_sum(geometry, 0.3, 0.7, signal), rtol=1e-12)


@EVERY_KIND
@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 16), st.integers(1, 16)),
    scale=st.one_of(st.just(0.0), st.floats(1e-6, 100)),
    seed=st.integers(0, 1000),
)
def test_every_kind_agrees_with_the_dense_one(layout: str, measure: str, shape, scale: float, seed: int):
    geometry = build_geometry(network(layout, measure, *shape, seed=seed))
    signal = np.random.default_rng(seed).normal(size=shape)
    dense = dense_coupling(geometry, 0.3, scale)
    found = KINDS[layout, measure](geometry, 0.3, scale).apply(signal)
    largest = dense.apply(np.abs(signal)).max()
    np.testing.assert_allclose(found, dense.apply(signal), rtol=0, atol=1e-12 * largest)


@EVERY_KIND
def test_a_large_network_gets_the_fastest_kind_for_its_layout(layout: str, measure: str):
    small, large = network(layout, measure, 16, 16), network(layout, measure, 17, 16)
    assert type(build_coupling(build_geometry(small), small)) is DenseCoupling
    assert type(build_coupling(build_geometry(large), large)) is KINDS[layout, measure]


@EVERY_KIND
def test_coupling_is_symmetric_and_no_synapse_couples_to_itself(layout: str, measure: str):
    coupling = KINDS[layout, measure](build_geometry(network(layout, measure, 3, 4, seed=5)), 0.3, 0.7)
    tensor = coupling.dense()
    np.testing.assert_array_equal(tensor, tensor.transpose(2, 3, 0, 1))
    for source in np.ndindex(3, 4):
        assert coupling.between(source)[source] == 0
        pulse = np.zeros((3, 4))
        pulse[source] = 1
        np.testing.assert_allclose(coupling.apply(pulse), coupling.between(source), rtol=0, atol=1e-16)
        np.testing.assert_array_equal(tensor[:, :, *source], coupling.between(source))


def test_no_signal_wraps_round_the_rim_of_a_grid():
    large = network("grid", "euclidean", 40, 30, coupling_scale=3.0)
    coupling = build_coupling(build_geometry(large), large)
    corner = np.zeros((40, 30))
    corner[0, 0] = 1
    assert abs(coupling.apply(corner)[-1, -1]) < 1e-17
    assert abs(coupling.apply(corner)[-1, 0]) < 1e-17


def test_padding_to_the_reach_of_the_kernel_is_as_exact_as_full_padding():
    wide = network("grid", "euclidean", 150, 120, coupling_scale=2.0)
    coupling = build_coupling(build_geometry(wide), wide)
    signal = np.random.default_rng(0).normal(size=(150, 120))
    found = coupling.apply(signal)
    for place in [(0, 0), (149, 119), (0, 119), (75, 60), (3, 118)]:
        strengths = coupling.between(place)
        assert found[place] == pytest.approx((strengths * signal).sum(), abs=1e-13 * (strengths * abs(signal)).sum())


def test_a_grid_with_oblique_steps_is_also_a_convolution():
    post, pre = np.indices((18, 17))[..., None]
    geometry = Geometry(np.array([3.0, -1.0]) + post * [0.5, 1.1] + pre * [1.0, 0.2])
    coupling = build_coupling(geometry, network("grid", "euclidean", 18, 17))
    assert type(coupling) is FourierCoupling
    signal = np.random.default_rng(0).normal(size=(18, 17))
    np.testing.assert_allclose(coupling.apply(signal), four_index_sum(geometry, 0.05, 1.0, signal), atol=1e-14)


@EVERY_KIND
def test_the_spectral_radius_is_the_largest_eigenvalue(layout: str, measure: str, monkeypatch: pytest.MonkeyPatch):
    geometry = build_geometry(network(layout, measure, 6, 7, seed=2))
    expected = np.abs(np.linalg.eigvals(as_matrix(dense_coupling(geometry, 0.2, 0.8).dense()))).max()
    operator = KINDS[layout, measure](geometry, 0.2, 0.8)
    assert operator.spectral_radius() == pytest.approx(expected, rel=1e-12)
    monkeypatch.setattr(module, "LARGEST_DENSE", 1)
    assert operator.spectral_radius() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("side", [3, 20])
@EVERY_KIND
def test_without_coupling_the_spectral_radius_is_0(layout: str, measure: str, side: int):
    parameters = network(layout, measure, side, side, coupling_strength=0)
    assert build_coupling(build_geometry(parameters), parameters).spectral_radius() == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("shape", [(3, 3), (20, 20)])
@EVERY_KIND
def test_a_coupling_given_by_its_spectral_radius_has_this_radius(layout: str, measure: str, shape: tuple[int, int]):
    parameters = network(
        layout, measure, *shape, coupling_given_by="spectral_radius", coupling_spectral_radius=0.4, coupling_scale=2.0
    )
    coupling = build_coupling(build_geometry(parameters), parameters)
    assert coupling.spectral_radius() == pytest.approx(0.4, rel=1e-12)


@pytest.mark.parametrize(("shape", "scale"), [((1, 1), 1.0), ((2, 1), 1e6)])
def test_a_spectral_radius_without_any_coupled_synapses_is_refused(shape: tuple[int, int], scale: float):
    # Bypass the bounds of coupling_scale, to get strengths too small for a float.
    parameters = network("grid", "euclidean", *shape, coupling_given_by="spectral_radius")
    object.__setattr__(parameters, "coupling_scale", scale)
    with pytest.raises(ParameterError, match=r"no strength gives the coupling a spectral radius.*take more neurons"):
        build_coupling(build_geometry(parameters), parameters)


def test_a_network_too_large_for_a_dense_tensor_is_refused():
    large = network("grid", "euclidean", 16, 17)
    coupling = build_coupling(build_geometry(large), large)
    with pytest.raises(ParameterError, match=f"17 x 16 neurons have 272 synapses, more than the {LARGEST_DENSE}"):
        coupling.dense()


def test_a_large_network_with_irregular_positions_is_refused():
    positions = np.random.default_rng(0).normal(size=(17, 17, 2))
    with pytest.raises(ParameterError, match="289 synapses, more than the 256"):
        build_coupling(Geometry(positions), network("grid", "euclidean", 17, 17))


def test_the_sources_are_all_synapses_of_a_small_network_and_the_centre_of_a_large_one():
    assert sources_to_store((2, 2)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len(sources_to_store((16, 16))) == 256
    assert sources_to_store((17, 21)) == [(8, 10)]


def test_a_coupling_must_define_apply_and_between():
    assert Coupling.__abstractmethods__ == {"apply", "between"}
