"""What synapses do between spikes that are known, for the tests of plasticity and of the spiking model."""

from collections.abc import Callable

import numpy as np
import pytest

from astro_sim.biophysics.plasticity import CalciumPlasticityParameters, time_above
from rmaat.base.arrays import Array


@pytest.fixture
def follow_efficacy() -> Callable[..., Array]:
    return _follow


def _follow(parameters: CalciumPlasticityParameters, intervals: Array, jumps: Array, efficacy: Array | float) -> Array:
    """Efficacy (spike, ...) at the end of the `intervals` (spike, ...) in s that follow each of `jumps` of calcium.

    Without noise and without what happens in silence; in closed form between spikes. Calcium is 0 at first.
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
