"""A ring of astrocytes that exchange IP3 with their neighbours, along which calcium travels as a wave.

Each cell is `PROCESS` without receptors. IP3 flows between neighbours, and between a cell and its surroundings, only
if its concentrations differ by more than a threshold. A wave must therefore build up in each cell before it continues.
Goldberg et al. 2010, doi:10.1371/journal.pcbi.1000909, in the form of figure 5 of Stimberg et al. 2019,
doi:10.1101/198366.
"""

from dataclasses import dataclass, field

import numpy as np

from astro_sim.biophysics.calcium import LI_RINZEL, PROCESS, ip3_inflow
from astro_sim.biophysics.parameters import ExchangeParameters, ExcitableCalciumParameters, ExcitableIp3Parameters
from astro_sim.biophysics.runge_kutta import step_on
from astro_sim.biophysics.sources import Paper
from astro_sim.biophysics.system import System, constants_of
from rmaat.base.arrays import Array
from rmaat.base.records import Record, parameter

RING = System(
    definitions={
        **{name: PROCESS.definitions[name] for name in (*LI_RINZEL.definitions, "plc_delta", "kinase", "phosphatase")},
        "above_outside": "ip3 - ip3_outside",
        "above_next": "ip3 - next_cell(ip3)",
        "above_previous": "ip3 - previous_cell(ip3)",
        "exchange": " + ".join(map(ip3_inflow, ("above_outside", "above_next", "above_previous"))),
    },
    rates={**LI_RINZEL.rates, "ip3": "plc_delta - kinase - phosphatase + exchange"},
)
"""Calcium, availability and IP3 of all cells (cell,); `next_cell` and `previous_cell` shift values along the ring."""

CALCIUM, AVAILABILITY = (list(RING.rates).index(name) for name in ("calcium", "availability"))


@dataclass(frozen=True)
class RingParameters(Record):
    """A ring in which IP3 is raised around one cell again and again, as in figure 5 of Stimberg et al."""

    cells: int = parameter(50, "astrocytes in the ring", low=3, high=10_000, source=Paper.STIMBERG)
    pushed_ip3: float = parameter(
        1.0, "IP3 outside the pushed cell", unit="umol/L", low=0, high=10, source=Paper.STIMBERG
    )
    push_interval: float = parameter(50.0, "time from push to push", unit="s", low=1, high=1e4, source=Paper.STIMBERG)
    push_duration: float = parameter(20.0, "duration of a push", unit="s", low=0.1, high=1e4, source=Paper.STIMBERG)
    availability: float = parameter(
        0.9, "share of IP3 receptors not inactivated at the start", low=0, high=1, source=Paper.STIMBERG, symbol="h"
    )
    calcium: ExcitableCalciumParameters = field(default_factory=ExcitableCalciumParameters)
    ip3: ExcitableIp3Parameters = field(default_factory=ExcitableIp3Parameters)
    exchange: ExchangeParameters = field(default_factory=ExchangeParameters)


def run_ring(parameters: RingParameters, duration: float, step: float = 0.05) -> tuple[Array, Array]:
    """Simulate a ring whose middle cell is pushed.

    Parameters
    ----------
    duration : float
        In s.
    step : float
        Fixed step of the Runge-Kutta method in s.

    Returns
    -------
    (time,), (time, cell)
        Times in s, one step apart, and calcium in umol/L.
    """
    names = constants_of(parameters.calcium, parameters.ip3, parameters.exchange)
    outside = np.zeros(parameters.cells)
    outside[parameters.cells // 2] = parameters.pushed_ip3
    shifts = {"next_cell": lambda ip3: np.roll(ip3, -1), "previous_cell": lambda ip3: np.roll(ip3, 1)}
    rates = [RING.with_constants({**names, **shifts, "ip3_outside": push * outside}) for push in (0, 1)]
    times: Array = np.arange(round(duration / step) + 1, dtype=np.float64) * step
    pushed = times % parameters.push_interval < parameters.push_duration
    state = np.zeros((len(RING.rates), parameters.cells))
    state[AVAILABILITY] = parameters.availability
    calcium = np.zeros((times.size, parameters.cells))
    for place in range(times.size - 1):
        state = step_on(rates[int(pushed[place])], state, step)
        calcium[place + 1] = state[CALCIUM]
    return times, calcium


def arrival_times(times: Array, calcium: Array, level: float) -> Array:
    """The time in s at which calcium first rises above a level in each cell (cell,), NaN if it never does.

    Parameters
    ----------
    times, calcium : (time,), (time, cell)
        As from `run_ring`; interpolated linearly.
    level : float
        In umol/L.
    """
    above = calcium > level
    first = above.argmax(axis=0)
    cells = np.arange(calcium.shape[1])
    before, after = calcium[first - 1, cells], calcium[first, cells]
    arrived = times[first] - (times[1] - times[0]) * (after - level) / (after - before)
    return np.where(above.any(axis=0), arrived, np.nan)
