import numpy as np
import pytest

from astro_sim.biophysics import System, solve
from astro_sim.errors import SimulationError

DECAY = System({"loss": "rate * amount"}, {"amount": "-loss", "counted": "loss"})


def test_kicks_act_at_their_times_and_appear_after_them():
    times = np.array([0.0, 0.5, 1.0, 2.0])
    found = solve(DECAY, {"rate": 0.7}, {"amount": 2.0}, times, {1.0: {"amount": 3.0}, 0.25: {"counted": 1.0}})
    at_one = 2 * np.exp(-0.7)
    expected = [2, 2 * np.exp(-0.35), at_one, (at_one + 3) * np.exp(-0.7)]
    np.testing.assert_allclose(found["amount"], expected, rtol=1e-7)
    assert found["counted"][-1] == pytest.approx(2 + 3 + 1 - expected[-1], rel=1e-7)


def test_a_kick_before_the_first_time_or_at_the_end_has_no_effect():
    kicks = {-1.0: {"amount": 9.0}, 1.0: {"amount": 9.0}}
    found = solve(DECAY, {"rate": 0.7}, {"amount": 2.0}, np.array([0.0, 1.0]), kicks)
    assert found["amount"][-1] == pytest.approx(2 * np.exp(-0.7), rel=1e-7)


def test_a_kick_at_the_start_acts_from_the_start():
    found = solve(DECAY, {"rate": 0.7}, {"amount": 2.0}, np.array([0.0, 1.0]), {0.0: {"amount": 1.0}})
    assert found["amount"][-1] == pytest.approx(3 * np.exp(-0.7), rel=1e-7)


def test_a_solution_that_escapes_is_an_error():
    with pytest.raises(SimulationError, match="no finite solution between 0 and 9 s"):
        solve(System({}, {"amount": "amount**2"}), {}, {"amount": 1.0}, np.array([0.0, 9.0]))
