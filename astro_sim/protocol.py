"""The base of every stimulus protocol: a record that describes a run as intervals of constant drive.

Engines solve one interval after another, so no solver steps over an edge of the stimulus. To write a protocol,
subclass `ProtocolParameters` with a `kind` and a method `steps`. `astro_sim.stimuli` holds the protocols of the
package.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from astro_sim.durations import divides, exact
from rmaat.base.arrays import Array
from rmaat.base.records import OneOf, ParameterError, Source, parameter


@dataclass(frozen=True, eq=False)
class Interval:
    """A period of constant drive from `start` to `end`, in s.

    Attributes
    ----------
    presynaptic_drive, postsynaptic_drive : (pre,), (post,)
        Input b to each neuron, dimensionless.
    restart : bool
        Whether the fast variables are set to 0 at `start`.
    """

    start: float
    end: float
    presynaptic_drive: Array
    postsynaptic_drive: Array
    restart: bool


@dataclass(frozen=True, eq=False)
class Step:
    """The drive from `start` to the start of the next step; `start` is in s, as an exact decimal number.

    Attributes
    ----------
    presynaptic_drive, postsynaptic_drive : (pre,), (post,)
        Input b to each neuron, dimensionless.
    """

    start: Fraction
    presynaptic_drive: Array
    postsynaptic_drive: Array


@dataclass(frozen=True)
class ProtocolParameters(OneOf):
    """The parameters of all protocols: a run of whole cycles, and whether the fast variables restart in each."""

    default_kind: ClassVar[str] = "stp_cycles"

    run_duration: float = parameter(300.0, "length of the run", unit="s", low=1, high=100_000, source=Source.PAPER)
    cycle_duration: float = parameter(
        50.0, "length of one cycle", unit="s", low=0.1, high=10_000, source=Source.PAPER, symbol="τ_cycle"
    )
    restart_fast_variables: bool = parameter(True, "set all but the long-term process to 0 at the start of each cycle")

    def __post_init__(self) -> None:
        super().__post_init__()
        run, cycle = self.run_duration, self.cycle_duration
        if cycle > run:
            raise ParameterError(
                f"a cycle of {cycle:g} s is longer than the run of {run:g} s; "
                "shorten cycle_duration or lengthen run_duration"
            )
        if not divides(cycle, run):
            raise ParameterError(
                f"a run of {run:g} s is not a whole number of cycles of {cycle:g} s; "
                f"set run_duration to a multiple of {cycle:g} s"
            )

    @property
    def cycles(self) -> int:
        """Number of cycles in the run."""
        return round(self.run_duration / self.cycle_duration)

    @property
    def cycle_starts(self) -> list[Fraction]:
        """The exact start of each cycle, in s."""
        return [count * exact(self.cycle_duration) for count in range(self.cycles)]

    @property
    def stored_lengths(self) -> tuple[str, ...]:
        """Names of the durations that the recording interval must divide, so that their ends are stored."""
        return ("cycle_duration",)

    def steps(self, presynaptic_neurons: int, postsynaptic_neurons: int) -> list[Step]:
        """The drive as steps in order of time. If two steps start at the same time, the later one counts.

        Raises
        ------
        ParameterError, SimulationError
            The protocol does not fit the network, or its file is malformed.
        """
        raise NotImplementedError(f"{type(self).__name__} has no steps; write the method for its kind")


def build_intervals(
    protocol: ProtocolParameters, presynaptic_neurons: int, postsynaptic_neurons: int
) -> tuple[Interval, ...]:
    """The run of `protocol` as intervals without gaps, cut at every step and at every start of a cycle.

    The drive is 0 before the first step.

    Raises
    ------
    ParameterError, SimulationError
        As `ProtocolParameters.steps`.
    """
    silence = np.zeros(presynaptic_neurons), np.zeros(postsynaptic_neurons)
    at = {Fraction(0): Step(Fraction(0), *silence)}
    at |= {step.start: step for step in protocol.steps(presynaptic_neurons, postsynaptic_neurons)}
    cycles, end = set(protocol.cycle_starts), exact(protocol.run_duration)
    edges = sorted({edge for edge in {*at, *cycles} if edge < end} | {end})
    intervals, current = [], at[Fraction(0)]
    for start, stop in itertools.pairwise(edges):
        current = at.get(start, current)
        restart = protocol.restart_fast_variables and start in cycles
        drives = current.presynaptic_drive, current.postsynaptic_drive
        intervals.append(Interval(float(start), float(stop), *drives, restart))
    return tuple(intervals)


def first_drive(intervals: Sequence[Interval], cycle_duration: float) -> tuple[Array, Array] | None:
    """The drive (pre,) and (post,), dimensionless: its mean over the driven time of the first cycle.

    None if no neuron is driven then. `cycle_duration` is in s.
    """
    driven = [
        interval
        for interval in intervals
        if interval.end <= cycle_duration and (interval.presynaptic_drive.any() or interval.postsynaptic_drive.any())
    ]
    if not driven:
        return None
    durations = [interval.end - interval.start for interval in driven]
    layers = ([entry.presynaptic_drive for entry in driven], [entry.postsynaptic_drive for entry in driven])
    pre, post = (np.average(np.stack(layer), axis=0, weights=durations) for layer in layers)
    return pre, post


def presynaptic_drive(intervals: Sequence[Interval], times: Array) -> Array:
    """The drive (time, pre), dimensionless, at `times` (time,) in s.

    At the edge of two intervals it is the drive of the first one, as for all stored values.
    """
    ends = np.array([interval.end for interval in intervals])
    drive = np.stack([interval.presynaptic_drive for interval in intervals])
    return drive[np.searchsorted(ends, times)]
