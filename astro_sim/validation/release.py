"""Checks of release at Tsodyks-Markram synapses."""

from functools import cache, partial

import numpy as np

from astro_sim.biophysics import ReleaseParameters, mean_release, release_at
from astro_sim.validation.check import Check

RATES = {0.1: 0.587, 1.0: 0.485, 5.0: 0.259, 10.0: 0.160, 50.0: 0.038}
SYNAPSES, SPIKES, FIRST, SEED = 2000, 300, 100, 1
PROTOTYPE = "independent Brian2 prototype, Poisson spikes"
# At lower rates the published mean over one seed has too few spikes to be compared with.
TRANSMITTER = {1.1: 33.3, 11.0: 104.5}
VESICLE_KICK, CLEARANCE = 2500.0, 40.0
FIGURE = "Stimberg et al. 2019, figure 4B without gliotransmission, run in Brian2; doi:10.1101/198366"
OURS = "our own event-driven run, Poisson spikes"


@cache
def simulated_release(rate: float) -> float:
    """The mean share that a spike releases, over many synapses and after `FIRST` spikes."""
    intervals = np.random.default_rng(SEED).exponential(1 / rate, (SPIKES, SYNAPSES))
    return float(release_at(ReleaseParameters(), intervals)[FIRST:].mean())


def excess_of_mean_field(rate: float) -> float:
    """How far the closed form lies above the simulation, in percent."""
    return 100 * float(mean_release(ReleaseParameters(), rate) / simulated_release(rate) - 1)


def mean_transmitter(rate: float) -> float:
    """Transmitter outside a synapse in umol/L, in the mean over time: release per second over its clearance."""
    return VESICLE_KICK * rate * simulated_release(rate) / CLEARANCE


def _checks() -> list[Check]:
    checks = []
    for rate, published in RATES.items():
        quantity = f"Tsodyks-Markram: share released per spike at {rate:g} Hz"
        # Published to three digits, which is 1.3 % of the smallest.
        checks.append(Check.relative(quantity, "1", published, 2, PROTOTYPE, partial(simulated_release, rate)))
    for rate in RATES:
        quantity = f"Tsodyks-Markram: mean field above the run at {rate:g} Hz"
        checks.append(Check.between(quantity, "%", 0, 3, OURS, partial(excess_of_mean_field, rate)))
    for rate, published in TRANSMITTER.items():
        quantity = f"Tsodyks-Markram: mean transmitter at {rate:g} Hz"
        checks.append(Check.relative(quantity, "umol/L", published, 10, FIGURE, partial(mean_transmitter, rate)))
    return checks


CHECKS = tuple(_checks())
"""The event-driven run against an outside one, and the closed form against the run."""
