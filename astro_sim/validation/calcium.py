"""Checks of the astrocyte's calcium: Li-Rinzel with two parameter sets, and G-ChI."""

from functools import cache, partial

import numpy as np
from scipy.signal import find_peaks

from astro_sim.biophysics import (
    G_CHI,
    LI_RINZEL,
    AstrocyteParameters,
    CalciumParameters,
    FrequencyCalciumParameters,
    constants_of,
    solve,
)
from astro_sim.validation.check import Check, Kind, Origin
from rmaat.base.arrays import Array

AMPLITUDE, FREQUENCY = CalciumParameters(), FrequencyCalciumParameters()
PROTOTYPE = Origin(Kind.OWN_PROTOTYPE, "SciPy prototype of the same equations")
EIGENVALUES = Origin(Kind.OWN_PROTOTYPE, "eigenvalues at the fixed point, by code of its own")
NEST = Origin(Kind.OTHER_CODE, "NEST 3.10.0, astrocyte_lr_1994")
STIMBERG = Origin(Kind.OTHER_CODE, "Stimberg et al. 2019, figure 2, run in Brian2; doi:10.1101/198366")

TRANSIENT, WINDOW, INTERVAL = 1000.0, 200.0, 0.01
# In umol/L. Near the edge of oscillation, a smaller amplitude is a transient that has not decayed yet.
SMALLEST_OSCILLATION = 0.02
NEST_START = {"calcium": 0.073, "availability": 0.793}


@cache
def oscillation(parameters: CalciumParameters, ip3: float) -> tuple[float, float, float]:
    """Amplitude and peak in umol/L, and period in s, of calcium at constant `ip3` after a long transient."""
    names = constants_of(parameters) | {"ip3": ip3}
    times = np.append(0, TRANSIENT + np.arange(0, WINDOW, INTERVAL))
    calcium = solve(LI_RINZEL, names, NEST_START, times)["calcium"][1:]
    peaks, _ = find_peaks(calcium)
    period = float(np.diff(peaks).mean()) * INTERVAL if peaks.size > 1 else np.nan
    return float(np.ptp(calcium)), float(calcium.max()), period


def edge_of_oscillation(parameters: CalciumParameters, quiet: float, oscillating: float) -> float:
    """The IP3 in umol/L at which oscillations begin or end, by bisection between `quiet` and `oscillating`."""
    while abs(quiet - oscillating) > 1e-3:
        middle = (quiet + oscillating) / 2
        if oscillation(parameters, middle)[0] > SMALLEST_OSCILLATION:
            oscillating = middle
        else:
            quiet = middle
    return (quiet + oscillating) / 2


def calcium_as_in_nest(parameters: CalciumParameters, ip3: float) -> float:
    """Calcium in umol/L after 60 s at constant `ip3`, from NEST's initial state."""
    names = constants_of(parameters) | {"ip3": ip3}
    return float(solve(LI_RINZEL, names, NEST_START, np.array([0.0, 60.0]))["calcium"][-1])


@cache
def activated_peaks() -> tuple[Array, Array]:
    """Times in s and heights in umol/L of the calcium peaks (peak,) of an astrocyte, under one spike every 2 s."""
    parameters = AstrocyteParameters()
    release = parameters.transmitter.vesicle_volume_ratio * parameters.transmitter.vesicle_transmitter
    kicks = {time: {"transmitter": release} for time in map(float, range(2, 30, 2))}
    times = np.arange(0, 30_000) / 1000
    calcium = solve(G_CHI, constants_of(parameters), {"availability": 0.9}, times, kicks)["calcium"]
    # Spikes between two peaks make ripples of less than half this prominence.
    peaks, _ = find_peaks(calcium, prominence=0.1)
    return times[peaks], calcium[peaks]


def _edges() -> list[Check]:
    rows = [
        ("AM", AMPLITUDE, "begin", (0.30, 0.45), 0.355, 1, EIGENVALUES),
        ("AM", AMPLITUDE, "end", (0.75, 0.55), 0.637, 1, EIGENVALUES),
        ("FM", FREQUENCY, "begin", (0.40, 0.60), 0.510, 2, PROTOTYPE),
        ("FM", FREQUENCY, "end", (1.30, 0.90), 1.105, 2, PROTOTYPE),
    ]
    return [
        Check.relative(
            f"Li-Rinzel {name}: IP3 at which oscillations {word}",
            "umol/L",
            reference,
            percent,
            origin,
            partial(edge_of_oscillation, parameters, *bracket),
        )
        for name, parameters, word, bracket, reference, percent, origin in rows
    ]


def _shapes() -> list[Check]:
    rows = [
        ("AM", AMPLITUDE, 0.40, 12.8, 0.313, 1),
        ("AM", AMPLITUDE, 0.50, 11.5, 0.445, 1),
        ("AM", AMPLITUDE, 0.60, 11.0, 0.500, 1),
        ("FM", FREQUENCY, 0.60, 26.3, 1.02, 2),
    ]
    checks = []
    for name, parameters, ip3, period, peak, percent in rows:
        for place, word, unit, reference in ((2, "period", "s", period), (1, "peak", "umol/L", peak)):
            quantity = f"Li-Rinzel {name}: {word} at IP3 {ip3:.2f}"

            def measure(parameters=parameters, ip3=ip3, place=place) -> float:
                return oscillation(parameters, ip3)[place]

            checks.append(Check.relative(quantity, unit, reference, percent, PROTOTYPE, measure))
    return checks


def _as_in_nest() -> list[Check]:
    rows = [("AM", AMPLITUDE, 0.50, 0.4038897052), ("FM", FREQUENCY, 0.60, 0.04612609773)]
    return [
        Check.relative(
            f"Li-Rinzel {name}: calcium after 60 s at IP3 {ip3:.2f}",
            "umol/L",
            reference,
            0.001,
            NEST,
            partial(calcium_as_in_nest, parameters, ip3),
        )
        for name, parameters, ip3, reference in rows
    ]


def _activated() -> list[Check]:
    times = (3.15, 8.78, 13.02, 17.12, 21.15, 25.16, 29.16)
    checks = [
        Check.absolute(
            f"G-ChI at 0.5 Hz: time of calcium peak {number + 1}",
            "s",
            reference,
            0.05,
            STIMBERG,
            partial(_peak, 0, number),
        )
        for number, reference in enumerate(times)
    ]
    for number, word, reference in ((0, "first", 1.161), (-1, "last", 0.509)):
        quantity = f"G-ChI at 0.5 Hz: height of the {word} calcium peak"
        checks.append(Check.relative(quantity, "umol/L", reference, 1, STIMBERG, partial(_peak, 1, number)))
    return checks


def _peak(what: int, number: int) -> float:
    found = activated_peaks()[what]
    return float(found[number]) if number < found.size else np.nan


CHECKS = (*_edges(), *_shapes(), *_as_in_nest(), *_activated())
"""Checks of Li-Rinzel, then of G-ChI."""
