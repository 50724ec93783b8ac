"""The ring of astrocytes compared with single cells whose exchange a loop computes."""

import numpy as np
import pytest

from astro_sim.biophysics.calcium import PROCESS
from astro_sim.biophysics.ring import RING, RingParameters, arrival_times, run_ring
from astro_sim.biophysics.system import constants_of

SMALL = RingParameters(cells=5)


def flow(difference: float) -> float:
    """The IP3 inflow at a difference in umol/L, in umol/L/s, with the published numbers."""
    return -np.sign(difference) * 0.09 / 2 * (1 + np.tanh((abs(difference) - 0.3) / 0.05))


def test_each_cell_is_a_process_that_exchanges_ip3_with_its_two_neighbours_and_its_surroundings():
    state = np.random.default_rng(1).uniform(0.05, 0.95, (3, 5))
    outside = np.array([0.0, 0.0, 1.0, 0.0, 0.0])
    names = constants_of(SMALL.calcium, SMALL.ip3, SMALL.exchange)
    turns = {"next_cell": lambda ip3: np.roll(ip3, -1), "previous_cell": lambda ip3: np.roll(ip3, 1)}
    found = RING.with_constants({**names, **turns, "ip3_outside": outside})(state)
    ip3 = state[2]
    for cell in range(5):
        gain = sum(flow(ip3[cell] - other) for other in (ip3[(cell + 1) % 5], ip3[cell - 1], outside[cell]))
        alone = dict(names, transmitter=0.0, exchange=gain, receptor_binding=0.0, receptor_release=0.0)
        rates = PROCESS.with_constants(alone | {"desensitisation": 0.0, "kinase_c_affinity": 1.0})
        by_name = dict(zip(PROCESS.rates, rates(np.append(state[:, cell], 0.0)), strict=True))
        np.testing.assert_allclose(found[:, cell], [by_name[name] for name in RING.rates], rtol=1e-12)


def test_the_wave_travels_both_ways_alike_and_reaches_one_cell_after_the_other():
    times, calcium = run_ring(RingParameters(cells=9), 80.0, step=0.1)
    np.testing.assert_allclose(calcium[:, 3::-1], calcium[:, 5:], atol=1e-9)
    arrived = arrival_times(times, calcium, 0.3)
    assert (np.diff(arrived[4:8]) > 1).all()


def test_a_finer_step_gives_the_same_wave():
    coarse, fine = (arrival_times(*run_ring(SMALL, 60.0, step), 0.3) for step in (0.1, 0.025))
    np.testing.assert_allclose(coarse, fine, atol=0.05)


def test_arrival_is_interpolated_and_nan_in_cells_that_the_wave_never_reaches():
    calcium = np.array([[0.0, 0.0], [0.2, 0.1], [0.6, 0.1], [0.1, 0.1]])
    arrived = arrival_times(np.array([0.0, 1.0, 2.0, 3.0]), calcium, 0.3)
    assert arrived[0] == pytest.approx(1.25)
    assert np.isnan(arrived[1])
