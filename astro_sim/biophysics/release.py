"""Transmitter release with short-term plasticity: mean field in closed form, and spike by spike.

Between spikes `u' = -Ω_f u`, `x' = Ω_d (1 - x)`; at a spike `u += U_0 (1 - u)`, then `r = u x` is released and taken
from x. For Poisson spikes of rate ν, without the correlation of u and x,

    <u> = U_0 (Ω_f + ν) / (Ω_f + U_0 ν),    <r> = <u> Ω_d / (Ω_d + <u> ν)

Tsodyks, Pawelzik and Markram 1998, doi:10.1162/089976698300017502.
"""

import numpy as np

from astro_sim.biophysics.parameters import ReleaseParameters
from rmaat.base.arrays import Array


def mean_release(parameters: ReleaseParameters, rate: Array | float) -> Array | float:
    """The share of all resources that a spike releases in the mean, for Poisson spikes of `rate` in 1/s."""
    fading, recovery = parameters.facilitation_rate, parameters.recovery_rate
    use = parameters.release_probability * (fading + rate) / (fading + parameters.release_probability * rate)
    return use * recovery / (recovery + use * rate)


def release_at(parameters: ReleaseParameters, intervals: Array) -> Array:
    """What each spike releases (spike, ...), for `intervals` (spike, ...) in s before it; at first x = 1, u = 0."""
    use, resources = np.zeros(intervals.shape[1:]), np.ones(intervals.shape[1:])
    released = np.empty_like(intervals)
    fading = np.exp(-parameters.facilitation_rate * intervals)
    forgetting = np.exp(-parameters.recovery_rate * intervals)
    for spike in range(len(intervals)):
        resources = 1 - (1 - resources) * forgetting[spike]
        use = use * fading[spike]
        use = use + parameters.release_probability * (1 - use)
        released[spike] = use * resources
        resources = resources - released[spike]
    return released
