"""Checks of the wave of calcium along a ring of astrocytes."""

from functools import cache

import numpy as np

from astro_sim.biophysics.ring import RingParameters, arrival_times, run_ring
from astro_sim.validation.check import Check, Kind, Origin
from rmaat.base.arrays import Array

FIGURE = Origin(Kind.OTHER_CODE, "Stimberg et al. 2019, figure 5, run in Brian2; doi:10.1101/198366")
DURATION, LEVEL = 180.0, 0.3
# Distances in cells. Closer to the pushed cell the wave is still speeding up.
NEAR, FAR = 2, 10


@cache
def wave() -> tuple[Array, Array]:
    """Times (time,) in s and calcium (time, cell) in umol/L, long enough for the wave to travel `FAR` cells."""
    return run_ring(RingParameters(), DURATION)


def arrivals() -> Array:
    """Arrival times in s of the wave at distances `NEAR` and `FAR` from the pushed cell, mean of both directions."""
    arrived, pushed = arrival_times(*wave(), LEVEL), RingParameters().cells // 2
    return np.array([arrived[[pushed - away, pushed + away]].mean() for away in (NEAR, FAR)])


def seconds_per_cell() -> float:
    """Travel time of the wave from one cell to the next, in s."""
    near, far = arrivals()
    return float(far - near) / (FAR - NEAR)


CHECKS = (
    Check.relative("ring: time of the calcium wave from cell to cell", "s", 15.6, 3, FIGURE, seconds_per_cell),
    Check.relative(f"ring: arrival of the wave at distance {NEAR}", "s", 40.2, 3, FIGURE, lambda: float(arrivals()[0])),
    Check.relative(f"ring: arrival of the wave at distance {FAR}", "s", 164.7, 3, FIGURE, lambda: float(arrivals()[1])),
    Check.relative("ring: highest calcium", "umol/L", 1.014, 3, FIGURE, lambda: float(wave()[1].max())),
)
"""Checks of the wave's speed and height."""
