"""The input and the output of an engine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from astro_sim.equations.model import Model
from astro_sim.network.coupling import Coupling
from astro_sim.parameters import SolverParameters
from astro_sim.protocol import Interval
from rmaat.base.arrays import Array
from rmaat.base.records import Record


@dataclass(frozen=True, eq=False)
class Job:
    """One simulation, in the same form for every engine. All variables start at 0.

    Attributes
    ----------
    parameters : Record
        The parameters that the equations name, with units.
    coupling : Coupling
        The operator T.
    intervals : tuple of Interval
        They start at 0 s and have no gaps.
    recording_interval : float
        Time between stored values in s; it divides the run.
    """

    model: Model
    parameters: Record
    coupling: Coupling
    intervals: tuple[Interval, ...]
    recording_interval: float
    solver: SolverParameters


@dataclass(frozen=True, eq=False)
class Solution:
    """The result of an engine.

    Attributes
    ----------
    times : (time,)
        The stored times in s; an engine stores 0, recording_interval ... end of the run.
    values : mapping of variable labels to (time, ...) arrays
        A value at the edge of two intervals is the one before any restart.
    solver : mapping
        The method and its settings, as plain values.
    packages : tuple of str
        Installed packages that computed the values; the traces file records their versions.
    """

    times: Array
    values: Mapping[str, Array]
    solver: Mapping[str, Any]
    packages: tuple[str, ...]
