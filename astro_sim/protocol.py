"""The stimulus as intervals of constant drive.

Engines go from interval to interval, so that no solver ever steps over an edge of the stimulus.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from astro_sim.arrays import Array
from astro_sim.durations import exact
from astro_sim.parameters import NetworkParameters, ProtocolParameters


@dataclass(frozen=True, eq=False)
class Interval:
    """A stretch of time, from `start` to `end` in s, over which nothing outside the network changes.

    Attributes
    ----------
    presynaptic_drive, postsynaptic_drive : (pre,), (post,)
        Input b to each neuron, dimensionless.
    restart : bool
        Whether the fast variables are set to 0 at `start`.
    """

    start: float
    end: float
    presynaptic_drive: Array
    postsynaptic_drive: Array
    restart: bool


def build_intervals(protocol: ProtocolParameters, network: NetworkParameters) -> tuple[Interval, ...]:
    """The run as intervals without gaps: in each cycle the stimulus, then, where it is shorter, silence."""
    pre = _spread(protocol, network.presynaptic_neurons)
    post = protocol.postsynaptic_drive_fraction * _spread(protocol, network.postsynaptic_neurons)
    cycle, stimulus = exact(protocol.cycle_duration), exact(protocol.stimulus_duration)
    intervals = []
    for count in range(protocol.cycles):
        start, edge, end = (float(count * cycle + offset) for offset in (0, stimulus, cycle))
        intervals.append(Interval(start, edge, pre, post, protocol.restart_fast_variables))
        if edge < end:
            intervals.append(Interval(edge, end, np.zeros_like(pre), np.zeros_like(post), False))
    return tuple(intervals)


def presynaptic_drive(intervals: Sequence[Interval], times: Array) -> Array:
    """The drive (time, pre) at `times`; at an edge, that of the interval which ends there, as all stored values."""
    ends = np.array([interval.end for interval in intervals])
    drive = np.stack([interval.presynaptic_drive for interval in intervals])
    return drive[np.searchsorted(ends, times)]


def _spread(protocol: ProtocolParameters, neurons: int) -> Array:
    return np.linspace(protocol.drive_strongest, protocol.drive_weakest, neurons)
