"""What an engine is given and what it gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from astro_sim.equations.model import Model
from astro_sim.network.coupling import Coupling
from astro_sim.parameters import SolverParameters
from astro_sim.protocol import Interval
from rmaat.base.arrays import Array
from rmaat.base.records import Record

"""Told the fraction done, in [0, 1]."""


@dataclass(frozen=True, eq=False)
class Job:
    """One simulation, the same for every engine; it starts with all variables at 0.

    Attributes
    ----------
    parameters : Record
        What the model's equations name, with units.
    coupling : Coupling
        The operator T.
    intervals : tuple of Interval
        Without gaps from 0 s.
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
    """What an engine found.

    Attributes
    ----------
    times : (time,)
        0, recording_interval ... end of the run, in s.
    values : mapping of variable labels to (time, ...) arrays
        At the edge of two intervals, the value before any restart.
    solver : mapping
        Method and settings, plain values.
    packages : tuple of str
        Distributions that computed the values, for the record of versions.
    """

    times: Array
    values: Mapping[str, Array]
    solver: Mapping[str, Any]
    packages: tuple[str, ...]
