"""A solution of synaptic efficacy for known spikes, which the tests of plasticity and of the spiking model compare."""

from collections.abc import Callable

import numpy as np
import pytest

from astro_sim.biophysics.plasticity import CalciumPlasticityParameters, time_above
from rmaat.base.arrays import Array


@pytest.fixture
def follow_efficacy() -> Callable[..., Array]:
    return _follow


def _follow(parameters: CalciumPlasticityParameters, intervals: Array, jumps: Array, efficacy: Array | float) -> Array:
    """Efficacy (spike, ...) at the end of the interval after each jump of calcium, in closed form between jumps.

    There is no noise and no drift in silence. Calcium starts at 0.

    Parameters
    ----------
    intervals : (spike, ...)
        Time in s from each jump to the next.
    jumps : (spike, ...)
        Jumps of calcium, in units of the threshold of depression.
    """
    decay, time_constant = parameters.spine_calcium_time, parameters.efficacy_time_constant
    falling, rising = parameters.depression_rate / time_constant, parameters.potentiation_rate / time_constant
    level = rising / (rising + falling)
    thresholds = parameters.depression_threshold, parameters.potentiation_threshold
    calcium = np.zeros(intervals.shape[1:])
    found = np.empty_like(intervals)
    for spike, (length, jump) in enumerate(zip(intervals, jumps, strict=True)):
        calcium = calcium + jump
        high, higher = (time_above(calcium, length, threshold, decay) for threshold in thresholds)
        efficacy = level + (efficacy - level) * np.exp(-(rising + falling) * higher)
        efficacy = efficacy * np.exp(-falling * (high - higher))
        calcium = calcium * np.exp(-length / decay)
        found[spike] = efficacy
    return found
