import numpy as np
import pytest
from scipy.integrate import solve_ivp

from astro_sim.equations import influence as influence_module
from astro_sim.equations.influence import measure_influence
from astro_sim.equations.model import Model, Place, Variable
from astro_sim.equations.rate_model import RATE_MODEL
from astro_sim.equations.right_hand_side import RightHandSide
from astro_sim.errors import SimulationError
from astro_sim.network.coupling import Coupling, as_matrix, build_coupling
from astro_sim.network.geometry import build_geometry
from astro_sim.parameters import NetworkParameters, RateModelParameters

SOURCES = list(np.ndindex(2, 4))


def coupling_of(layout: str) -> Coupling:
    network = NetworkParameters(presynaptic_neurons=4, postsynaptic_neurons=2, layout=layout, seed=3)
    return build_coupling(build_geometry(network), network)


@pytest.fixture(params=["dense", "krylov"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use each solver for steady states, independent of the size of the network."""
    monkeypatch.setattr(influence_module, "LARGEST_DENSE", 256 if request.param == "dense" else 0)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("layout", ["line", "random", "equal", "grid"])
@pytest.mark.parametrize(("gain", "decay"), [(0.5, 1.0), (0.2, 1.3), (0.0, 1.0)])
def test_influence_is_the_inverse_of_decay_minus_loop_gain_minus_coupling(layout: str, gain: float, decay: float):
    coupling = coupling_of(layout)
    parameters = RateModelParameters(short_term_gain=gain, synapse_decay=decay, short_term_decay=1.1)
    influence = measure_influence(RATE_MODEL, parameters, coupling, SOURCES)
    expected = np.linalg.inv((1.1 - gain / decay) * np.eye(8) - as_matrix(coupling.dense()))
    np.testing.assert_allclose(influence.reshape(8, 8), expected, rtol=1e-6)


def test_influence_equals_the_response_in_a_long_run_under_a_push():
    coupling, push = coupling_of("random"), np.zeros((2, 4))
    push[1, 2] = 1e-3
    names = RateModelParameters(long_term_time_constant=2.0).to_dict() | {"short_term_bias": push}
    rate = RightHandSide(RATE_MODEL, names, coupling)
    run = solve_ivp(
        lambda _, y: rate(y, np.zeros(4), np.zeros(2)), (0, 400), np.zeros(rate.size), rtol=1e-10, atol=1e-14
    )
    answer = rate.unpack(run.y[:, -1])["short_term_process"] / 1e-3
    (influence,) = measure_influence(RATE_MODEL, RateModelParameters(), coupling, [(1, 2)])
    np.testing.assert_allclose(influence, answer, rtol=1e-4)


@pytest.mark.usefixtures("way")
def test_influence_is_measured_around_the_rest_that_biases_set():
    quiet, biased = (
        measure_influence(RATE_MODEL, RateModelParameters(short_term_bias=bias), coupling_of("line"), SOURCES)
        for bias in (0.0, 0.5)
    )
    # tanh saturates away from 0, so every effect is weaker.
    assert (biased < quiet).all()


def test_both_solvers_agree_around_a_rest_that_biases_set(monkeypatch: pytest.MonkeyPatch):
    parameters, coupling = RateModelParameters(short_term_bias=0.3, synapse_bias=-0.2), coupling_of("random")
    dense = measure_influence(RATE_MODEL, parameters, coupling, SOURCES)
    monkeypatch.setattr(influence_module, "LARGEST_DENSE", 0)
    np.testing.assert_allclose(measure_influence(RATE_MODEL, parameters, coupling, SOURCES), dense, rtol=1e-8)


def test_influence_in_a_large_network_solves_the_linearised_equations_and_falls_as_published():
    network = NetworkParameters(
        presynaptic_neurons=41,
        postsynaptic_neurons=41,
        layout="grid",
        coupling_given_by="spectral_radius",
        coupling_spectral_radius=0.2,
    )
    coupling = build_coupling(build_geometry(network), network)
    (influence,) = measure_influence(RATE_MODEL, RateModelParameters(), coupling, [(20, 20)])
    pulse = np.zeros((41, 41))
    pulse[20, 20] = 1
    # Around rest, (γ^s - κ_s / β - T) influence = pulse, and here γ^s - κ_s / β = 0.5.
    np.testing.assert_allclose(0.5 * influence - coupling.apply(influence), pulse, atol=1e-7)
    # Published for ρ / 0.5 = 0.4: a length of 1.30, fitted to the strengths at distances from 2 to 8.
    distance = build_geometry(network).distance_from((20, 20))
    near = (distance >= 2) & (distance <= 8)
    slope, _ = np.polyfit(distance[near], np.log(influence[near]), 1)
    assert -1 / slope == pytest.approx(1.30, rel=0.05)


@pytest.mark.usefixtures("way")
def test_the_driven_influence_equals_the_response_in_a_long_driven_run_under_a_push():
    coupling, drive = coupling_of("random"), (np.array([1.0, 0.8, 0.7, 0.6]), np.array([0.5, 0.3]))

    def end_of_run(push: float) -> np.ndarray:
        pushed = np.zeros((2, 4))
        pushed[1, 2] = push
        names = RateModelParameters(long_term_time_constant=2.0).to_dict() | {"short_term_bias": pushed}
        rate = RightHandSide(RATE_MODEL, names, coupling)
        run = solve_ivp(lambda _, y: rate(y, *drive), (0, 300), np.zeros(rate.size), rtol=1e-9, atol=1e-12)
        return rate.unpack(run.y[:, -1])["short_term_process"]

    expected = (end_of_run(1e-2) - end_of_run(-1e-2)) / 2e-2
    (driven,) = measure_influence(RATE_MODEL, RateModelParameters(), coupling, [(1, 2)], drive)
    (rest,) = measure_influence(RATE_MODEL, RateModelParameters(), coupling, [(1, 2)])
    np.testing.assert_allclose(driven, expected, rtol=1e-3)
    # The drive saturates the loop of facilitation and short-term process.
    assert (driven < 0.6 * rest).all()


@pytest.mark.usefixtures("way")
def test_a_network_without_a_steady_state_near_rest_is_an_error():
    growing = Variable("short_term_process", Place.SYNAPSE, "exp(short_term_process) + short_term_bias", "", "")
    model = Model((growing,), "short_term_process", "short_term_process")
    with pytest.raises(SimulationError, match="no steady state near rest"):
        measure_influence(model, RateModelParameters(), coupling_of("line"), SOURCES)


def test_the_jacobian_of_many_points_equals_that_of_each_point():
    matrices = np.random.default_rng(0).normal(size=(3, 4, 4))

    def rate(state: np.ndarray) -> np.ndarray:
        return np.stack([matrix @ np.sin(own) for matrix, own in zip(matrices, state.T, strict=True)], axis=-1)

    state = np.random.default_rng(1).normal(size=(4, 3))
    found = influence_module.jacobian(rate, state)
    np.testing.assert_allclose(found, matrices * np.cos(state.T)[:, None, :], atol=1e-9)
    for matrix, own, slopes in zip(matrices, state.T, found, strict=True):
        np.testing.assert_allclose(influence_module.jacobian(lambda y, m=matrix: m @ np.sin(y), own), slopes, atol=1e-9)


def test_the_response_balances_the_force_to_first_order():
    slopes, force = np.array([[-2.0, 0.5], [0.0, -1.0]]), np.array([[1.0], [3.0]])
    np.testing.assert_allclose(slopes @ influence_module.response(slopes, force) + force, 0, atol=1e-15)
