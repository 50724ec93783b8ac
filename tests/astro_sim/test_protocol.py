import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_sim.parameters import NetworkParameters
from astro_sim.protocol import Interval, build_intervals, first_drive, presynaptic_drive
from astro_sim.stimuli import StpCycles

NETWORK = NetworkParameters()


@given(cycle=st.integers(10, 1000), share=st.integers(1, 10), cycles=st.integers(1, 8), restart=st.booleans())
def test_intervals_cover_the_run_without_gaps_and_drive_the_given_share(
    cycle: int, share: int, cycles: int, restart: bool
):
    protocol = (
        StpCycles(
            run_duration=cycle * cycles / 10,
            cycle_duration=cycle / 10,
            stimulus_duration=cycle * share / 100,
            restart_fast_variables=restart,
        )
        if cycle * cycles >= 10
        else StpCycles()
    )
    intervals = build_intervals(protocol, *NETWORK.sizes)
    assert intervals[0].start == 0
    assert intervals[-1].end == protocol.run_duration
    for before, after in itertools.pairwise(intervals):
        assert before.end == after.start
    driven = sum(interval.end - interval.start for interval in intervals if interval.presynaptic_drive.any())
    assert driven == pytest.approx(protocol.cycles * protocol.stimulus_duration)
    assert sum(interval.restart for interval in intervals) == (protocol.cycles if restart else 0)


def test_the_drive_falls_evenly_and_postsynaptic_neurons_get_half():
    first, silence, *_ = build_intervals(StpCycles(), *NETWORK.sizes)
    np.testing.assert_allclose(first.presynaptic_drive, [1.0, 0.8, 0.6])
    np.testing.assert_allclose(first.postsynaptic_drive, [0.5, 0.4, 0.3])
    assert not silence.presynaptic_drive.any()
    assert not silence.postsynaptic_drive.any()


def test_a_stimulus_as_long_as_the_cycle_leaves_no_silence():
    intervals = build_intervals(StpCycles(stimulus_duration=50.0), *NETWORK.sizes)
    assert [(interval.start, interval.end) for interval in intervals[:2]] == [(0, 50), (50, 100)]


def test_the_first_drive_is_the_mean_over_the_driven_time_of_the_first_cycle_alone():
    pre, post = np.array([1.0, 0.0]), np.zeros(1)

    def driven(start, end, share):
        return Interval(start, end, share * pre, post, restart=False)

    run = [driven(0.0, 10.0, 1.0), driven(10.0, 40.0, 3.0), driven(40.0, 50.0, 0.0), driven(50.0, 90.0, 9.0)]
    drive = first_drive(run, 50.0)
    assert drive is not None
    np.testing.assert_allclose(drive[0], [(10 * 1 + 30 * 3) / 40, 0.0])
    assert first_drive(run[2:3], 50.0) is None


def test_the_drive_at_an_edge_belongs_to_the_interval_that_ends_there():
    intervals = build_intervals(StpCycles(), *NETWORK.sizes)
    drive = presynaptic_drive(intervals, np.array([0.0, 0.5, 25.0, 25.5, 50.0, 50.5, 300.0]))
    np.testing.assert_array_equal(drive[:, 0], [1, 1, 1, 0, 0, 1, 0])
