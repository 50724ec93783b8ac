"""Checks of the spiking model in Brian2 against an independent prototype of the same equations."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import xarray as xr
from scipy.optimize import curve_fit

from astro_sim.biophysics.spiking.parameters import BiophysicalParameters
from astro_sim.biophysics.spiking.simulation import simulate_biophysical
from astro_sim.validation.check import Check, Kind, Origin
from rmaat.base.arrays import Array

PROTOTYPE = Origin(Kind.OWN_PROTOTYPE, "Brian2 prototype of the same equations")
FIVE_SEEDS = Origin(
    Kind.OWN_PROTOTYPE,
    "Brian2 prototype of the same equations, five seeds; background of 700, 600 and 500 Hz, here 600",
)
CYCLES, CYCLE, SEED = 32, 60.0, 1
FIRST = slice(0, CYCLE)


@cache
def traces() -> xr.Dataset:
    """Traces of all cycles, for one seed."""
    return simulate_biophysical(BiophysicalParameters().override({"run_duration": CYCLES * CYCLE}), SEED)


def in_first_cycle(name: str) -> xr.DataArray:
    """The mean of a variable over synapses, or over neurons, during the first cycle (time,)."""
    found = traces()[name].sel(time=FIRST)
    return found.mean([axis for axis in ("post", "pre") if axis in found.dims])


def peak(name: str) -> float:
    """The maximum of the mean over synapses in the first cycle."""
    return float(in_first_cycle(name).max())


def mean_between(name: str, start: float, end: float) -> float:
    """The mean of a variable over synapses and over time, from `start` to `end` in s."""
    return float(in_first_cycle(name).sel(time=slice(start, end)).mean())


def growth() -> Array:
    """The mean long-term process at the end of each cycle (cycle,)."""
    found = traces()
    return found["long_term_process"].sel(time=found["cycle_end"].values).mean(("post", "pre")).values


def saturating(cycle: Array, end: float, cycles: float) -> Array:
    """The law of growth after `cycle` cycles: saturation at `end`, with a constant of `cycles` cycles."""
    return -end * np.expm1(-cycle / cycles)


@cache
def fitted() -> tuple[float, float, float]:
    """The law fitted to the growth: its end, its constant in cycles, and R²."""
    cycle, grown = np.arange(1, CYCLES + 1, dtype=np.float64), growth()
    (end, cycles), _ = curve_fit(saturating, cycle, grown, p0=(grown[-1], 10.0))
    off = grown - saturating(cycle, end, cycles)
    return float(end), float(cycles), float(1 - off @ off / ((grown - grown.mean()) ** 2).sum())


def _checks() -> list[Check]:
    calcium, ip3, receptors = "calcium", "short_term_process", "presynaptic_receptors"

    def check(quantity: str, unit: str, reference: float, percent: float, measure: Callable[[], float]) -> Check:
        return Check.relative(f"spiking model: {quantity}", unit, reference, percent, PROTOTYPE, measure)

    return [
        check("highest calcium", "umol/L", 0.69, 10, lambda: peak(calcium)),
        Check.absolute(
            "spiking model: time of highest calcium",
            "s",
            2.2,
            0.5,
            PROTOTYPE,
            lambda: float(in_first_cycle(calcium).idxmax()),
        ),
        # Rare spikes in silence keep calcium slightly above rest.
        check("calcium at the end of a cycle", "umol/L", 0.052, 15, lambda: mean_between(calcium, CYCLE, CYCLE)),
        check("highest IP3", "umol/L", 0.8, 5, lambda: peak(ip3)),
        check("time of highest IP3", "s", 9.6, 5, lambda: float(in_first_cycle(ip3).idxmax())),
        check(
            "largest share of bound receptors", "1", 0.89, 5, lambda: float(traces()[receptors].sel(time=FIRST).max())
        ),
        check("postsynaptic rate", "Hz", 41, 15, lambda: mean_between("postsynaptic_activity", 2, 10)),
        Check.relative("spiking model: end of the long-term curve", "1", 0.1185, 10, FIVE_SEEDS, lambda: fitted()[0]),
        Check.absolute(
            "spiking model: cycles to 63 % of the long-term curve", "1", 10, 0.5, FIVE_SEEDS, lambda: fitted()[1]
        ),
        Check.between("spiking model: R² of the law", "1", 0.9996, 1, FIVE_SEEDS, lambda: fitted()[2]),
    ]


CHECKS = tuple(replace(check, needs="brian2") for check in _checks())
"""Checks of the first cycle, and of the growth of the long-term process."""
