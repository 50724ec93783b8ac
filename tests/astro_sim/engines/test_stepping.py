import numpy as np
import pytest
from scipy.integrate import DOP853, LSODA, solve_ivp

from astro_sim.engines.stepping import SolverStopped, make_solver, states_at, step_through

TIMES = np.array([0.5, 0.51, 0.52, 1.0, 2.5, 3.0])


def pendulum(_: float, state: np.ndarray) -> np.ndarray:
    return np.array([state[1], -np.sin(state[0])])


def solver_of(kind, rate=pendulum, state=(1.0, 0.0), end=3.0):
    return make_solver(kind, rate, 0.0, np.array(state), end, 1e-9, 1e-12)


@pytest.mark.parametrize("kind", [LSODA, DOP853])
def test_the_loop_gives_the_bits_of_solve_ivp(kind):
    expected = solve_ivp(pendulum, (0.0, 3.0), [1.0, 0.0], method=kind, t_eval=TIMES, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(states_at(solver_of(kind), TIMES), expected.y.T)


@pytest.mark.parametrize("kind", [LSODA, DOP853])
def test_each_time_is_passed_once_and_a_finished_solver_holds_no_memory(kind):
    solver = solver_of(kind)
    passed = np.concatenate(list(step_through(solver, TIMES)))
    np.testing.assert_array_equal(passed, TIMES)
    assert not vars(solver)


@pytest.mark.parametrize("kind", [LSODA, DOP853])
def test_a_state_that_escapes_stops_the_solver_and_is_reported(kind):
    with pytest.raises(SolverStopped, match="a state grew beyond") as caught:
        states_at(solver_of(kind, lambda _, y: y**2, (1.0,)), np.array([3.0]))
    assert caught.value.escaped
    assert caught.value.time == pytest.approx(1.0, abs=1e-6)
    assert not np.abs(caught.value.state).max() <= 1e9


def test_only_watched_elements_are_bounded():
    growing = solver_of(LSODA, lambda _, y: np.array([0.0, 10.0 * y[1]]), (1.0, 1.0))
    found = states_at(growing, np.array([3.0]), watched=slice(0, 1))
    assert found[0, 1] == pytest.approx(np.exp(30), rel=1e-6)


def test_the_error_of_a_solver_that_gives_up_has_its_reason():
    def jumps(time: float, _: np.ndarray) -> np.ndarray:
        return np.array([np.nan if time > 1 else 1.0])

    with pytest.raises(SolverStopped, match=r"scipy gave up \(Required step size is less than spacing"):
        states_at(solver_of(DOP853, jumps, (0.0,)), np.array([3.0]))
