"""Transmitter release with short-term plasticity, which gliotransmitter from an astrocyte may modulate.

    u' = -Ω_f u,  x' = Ω_d (1 - x)              use and resources of the synapse
    Γ_S' = O_G G (1 - Γ_S) - Ω_G Γ_S            share of presynaptic receptors bound to gliotransmitter
    G' = -Ω_e G,  x_A' = Ω_A (1 - x_A)          gliotransmitter, and the astrocyte's resources

A spike changes u by `u += U (1 - u)` with `U = U_0 + (α - U_0) Γ_S`. It then releases `r = u x`, which leaves x and
adds `ρ_c Y_T r` to the transmitter. When calcium of the astrocyte rises above C_Θ, `U_A x_A` leaves its resources and
adds `ρ_e G_T U_A x_A` to the gliotransmitter.

The equations below are the only ones of release: `tripartite` solves them in NumPy, and `spiking/network.py` passes
them to Brian2. `release_at` solves the synapse alone exactly from spike to spike, and `mean_release` is its mean
field. For Poisson spikes of rate ν, without the correlation of u and x,

    <u> = U_0 (Ω_f + ν) / (Ω_f + U_0 ν),    <r> = <u> Ω_d / (Ω_d + <u> ν)

Synapse: Tsodyks, Pawelzik and Markram 1998, doi:10.1162/089976698300017502. Gliotransmission: Stimberg et al. 2019,
doi:10.1101/198366.
"""

import numpy as np

from astro_sim.biophysics.parameters import ReleaseParameters
from astro_sim.biophysics.system import Event
from rmaat.base.arrays import Array

SYNAPSE = {
    "used_share": "-facilitation_rate * used_share",
    "resources": "recovery_rate * (1 - resources)",
}
"""Rates of u and x between spikes."""
PRESYNAPTIC_RECEPTORS = {
    "presynaptic_receptors": "presynaptic_binding * gliotransmitter * (1 - presynaptic_receptors)"
    " - presynaptic_unbinding * presynaptic_receptors",
}
"""Rate of Γ_S."""
GLIOTRANSMISSION = {
    "gliotransmitter": "-gliotransmitter_clearance * gliotransmitter",
    "astrocyte_resources": "astrocyte_recovery * (1 - astrocyte_resources)",
}
"""Rates of G and x_A between releases of the astrocyte."""

RELEASE = Event(
    (
        ("used_share", "+=", "probability * (1 - used_share)"),
        ("released", "=", "used_share * resources"),
        ("resources", "-=", "released"),
    )
)
"""The synapse's release at a spike with a given `probability` U."""
ON_SPIKE = Event(
    (
        (
            "probability",
            "=",
            "release_probability + (modulated_probability - release_probability) * presynaptic_receptors",
        ),
        *RELEASE.statements,
        ("transmitter", "+=", "vesicle_volume_ratio * vesicle_transmitter * released"),
    )
)
"""A presynaptic spike, with the probability that gliotransmission sets."""
ON_CALCIUM = Event(
    (
        ("gliotransmitter", "+=", "astrocyte_vesicles * astrocyte_release * astrocyte_resources"),
        ("astrocyte_resources", "-=", "astrocyte_release * astrocyte_resources"),
    )
)
"""The astrocyte's release, when its calcium rises above the threshold."""


def mean_release(parameters: ReleaseParameters, rate: Array | float) -> Array | float:
    """The mean share of all resources that a spike releases, for Poisson spikes of `rate` in 1/s; same shape.

    The closed form above, for a synapse without gliotransmission.
    """
    fading, recovery = parameters.facilitation_rate, parameters.recovery_rate
    use = parameters.release_probability * (fading + rate) / (fading + parameters.release_probability * rate)
    return use * recovery / (recovery + use * rate)


def release_at(parameters: ReleaseParameters, intervals: Array) -> Array:
    """The share of all resources that each spike releases (spike, ...), for a synapse without gliotransmission.

    Solves `SYNAPSE` exactly between spikes and applies `RELEASE` at each; x = 1 and u = 0 at the start.

    Parameters
    ----------
    intervals : (spike, ...)
        Time in s from the spike before, or from the start, to each spike.
    """
    names = ("used_share", "resources", "released")
    release = RELEASE.with_constants({"probability": parameters.release_probability}, names)
    use, resources = np.zeros(intervals.shape[1:]), np.ones(intervals.shape[1:])
    released = np.empty_like(intervals)
    fading = np.exp(-parameters.facilitation_rate * intervals)
    forgetting = np.exp(-parameters.recovery_rate * intervals)
    for spike in range(len(intervals)):
        resources = 1 - (1 - resources) * forgetting[spike]
        use, resources, released[spike] = release([use * fading[spike], resources, released[spike]])
    return released
