"""Checks of calcium-based plasticity against the authors' own noisy, spike-by-spike simulation."""

from functools import partial

from astro_sim.biophysics.plasticity import Drift, PairingPlasticityParameters, drift_under_pairs
from astro_sim.validation.check import Check, Kind, Origin

AUTHORS = Origin(
    Kind.OTHER_CODE,
    "Graupner and Brunel 2012, figure 2 (DP), the authors' own simulation; doi:10.1073/pnas.1109359109",
)
PAIRS, RATE = 60, 1.0
# Three standard errors over the authors' 1000 synapses: of a mean efficacy, and of a share near one half.
MEAN_TOLERANCE, SHARE_TOLERANCE = 0.035, 0.047
EFFICACIES = {-0.1: (0.43628, 0.555798), -0.02: (0.398732, 0.470449), 0.005: (0.554581, 0.559244)}
"""By lag in s: the mean efficacy after all pairs, of synapses that started at 0 and at 1."""
SHARES = {-0.1: (0.301, 0.330), -0.02: (0.222, 0.582), 0.005: (0.667, 0.312)}
"""By lag in s: the share of synapses that went up, and the share that went down."""


def drift(lag: float) -> Drift:
    """The drift under pairs whose postsynaptic spike comes `lag` s after the presynaptic one."""
    return drift_under_pairs(PairingPlasticityParameters(), lag, RATE)


def mean_efficacy(lag: float, start: int) -> float:
    """The mean efficacy after all pairs, of synapses that started at `start`."""
    return drift(lag).mean(start, PAIRS / RATE)


def share_that_changed(lag: float, start: int) -> float:
    """The share of synapses that started at `start` and ended on the other side of the boundary."""
    above = drift(lag).share_above(start, PAIRS / RATE)
    return 1 - above if start else above


def _checks() -> list[Check]:
    checks = []
    for lag in EFFICACIES:
        for start, word in enumerate(("up", "down")):
            pairs = f"60 pairs, lag {1000 * lag:g} ms"
            quantity = f"Graupner-Brunel: efficacy from {start} after {pairs}"
            reference = EFFICACIES[lag][start]
            checks.append(
                Check.absolute(quantity, "1", reference, MEAN_TOLERANCE, AUTHORS, partial(mean_efficacy, lag, start))
            )
            quantity = f"Graupner-Brunel: share that goes {word} under {pairs}"
            reference = SHARES[lag][start]
            checks.append(
                Check.absolute(
                    quantity, "1", reference, SHARE_TOLERANCE, AUTHORS, partial(share_that_changed, lag, start)
                )
            )
    return checks


CHECKS = tuple(_checks())
"""The closed forms of mean and spread: at a lag that depresses, one that potentiates, and one without interaction."""
