"""Data that the rate model is fitted to, and their CSV files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astro_sim.durations import exact
from astro_sim.errors import SimulationError
from astro_sim.parameter_set import SimulationParameters
from astro_sim.text_tables import Row, read_csv
from distill.learned import learned_from
from distill.tables import Tables
from rmaat.base.arrays import Array
from rmaat.base.records import unknown_name

TABLES = ".nc"
"""Suffix of files that hold learned retention factors, from `rmaat train --retention learned`."""
ROUNDING = 0.02
"""Retention factors may differ from a sum of 1 by this much, because files hold rounded numbers."""


@dataclass(frozen=True, eq=False)
class Data:
    """Values that the rate model should reproduce.

    Attributes
    ----------
    times : (row,)
        Times in s, increasing.
    values : (row,)
        Long-term process or retention factors, dimensionless.
    errors : (row,) or None
        Standard errors of the values, None if unknown.
    retention : bool
        Whether the values are retention factors of the cycles that end at `times`, instead of the long-term process.
    origin : str
        Name of the file, for messages.
    """

    times: Array
    values: Array
    errors: Array | None
    retention: bool
    origin: str


def learned_data(learned: Sequence[Tables], parameters: SimulationParameters) -> Data:
    """The learned retention factors of one or several trainings, for a run of `parameters`.

    Several trainings give their mean, with one standard error for all segments.

    Raises
    ------
    TableError
        The tables do not hold learned factors.
    SimulationError
        The run has fewer cycles than the tables have segments, or tables have different numbers of segments.
    """
    lengths = {tables.longest for tables in learned}
    if len(lengths) > 1:
        raise SimulationError(f"learned tables of {min(lengths)} and {max(lengths)} segments; fit those of one length")
    (segments,) = lengths
    protocol = parameters.protocol
    if segments > protocol.cycles:
        raise SimulationError(
            f"{learned[0].origin} has {segments} segments, but the run {protocol.cycles} cycles; "
            f"set run_duration to {segments * protocol.cycle_duration:g} or more"
        )
    factors = np.stack([learned_from(tables, segments) for tables in learned])
    # One error for all segments: of a few trainings, the error of each segment alone would be far too small at times.
    variance = factors.var(axis=0, ddof=1).mean() / len(factors) if len(factors) > 1 else 0.0
    errors = np.full(segments, np.sqrt(variance)) if variance > 0 else None
    # The times in exact arithmetic, as in files: the end of the last cycle is then not beyond the run.
    times = np.array([float(number * exact(protocol.cycle_duration)) for number in range(1, segments + 1)])
    origin = ", ".join(dict.fromkeys(tables.origin for tables in learned))
    return Data(times, factors.mean(axis=0), errors, True, origin)


def read_data(path: Path, parameters: SimulationParameters) -> Data:
    """Read a CSV file for a run of `parameters`; `distill.inverse.fit` lists the columns.

    Raises
    ------
    SimulationError
        A column is missing, an entry is no number or out of range, or rows are out of order or beyond the run.
    FileError
        The file cannot be read.
    """
    rows = read_csv(path, ())
    columns = set(rows[0].values)
    for place, value in (("time", "value"), ("cycle", "value"), ("segment", "retention")):
        if {place, value} <= columns:
            break
    else:
        raise SimulationError(
            f"{path}, line 1 has the columns {','.join(rows[0].values):.100}; "
            "start the file with time,value or cycle,value or segment,retention"
        )
    # Refuse unknown columns: a misspelt `error` would silently give every row the same weight.
    if extra := columns - {place, value, "error"}:
        raise SimulationError(f"{path}, line 1: {unknown_name('column', min(extra), (place, value, 'error'))}")
    times = _times(rows, place, parameters)
    values = np.array([row.number(value) for row in rows])
    errors = np.array([_positive(row, "error") for row in rows]) if "error" in columns else None
    if value == "retention":
        _check_retention(path, rows, values)
    return Data(times, values, errors, value == "retention", path.name)


def _times(rows: Sequence[Row], place: str, parameters: SimulationParameters) -> Array:
    """The time of each row in s, (row,): increasing and within the run."""
    protocol = parameters.protocol
    times: list[float] = []
    for number, row in enumerate(rows, start=1):
        value = _positive(row, place)
        # RF(t, T) divides by the sum over all t up to T, so that no segment may be missing.
        if place == "segment" and value != number:
            raise row.error(f"has segment {value:g} where {number} was due", "list the segments from 1, one a row")
        # Exact arithmetic: as floats, 3 cycles of 0.1 s would end after a run of 0.3 s.
        span = exact(value) * (1 if place == "time" else exact(protocol.cycle_duration))
        if span > exact(protocol.run_duration):
            raise row.error(
                f"has {place} {value:g}, beyond the run of {protocol.cycles} cycles, {protocol.run_duration:g} s",
                "lengthen run_duration, or leave the row out",
            )
        time = float(span)
        if times and time <= times[-1]:
            raise row.error(f"has {place} {value:g} after one not below it", f"sort the rows by {place}, each once")
        times.append(time)
    return np.array(times)


def _positive(row: Row, column: str) -> float:
    number = row.number(column)
    if number <= 0:
        raise row.error(f"has {number:g} as {column}", "write a number above 0")
    return number


def _check_retention(path: Path, rows: Sequence[Row], values: Array) -> None:
    for row in rows:
        _positive(row, "retention")
    if abs(values.sum() - 1) > ROUNDING:
        raise SimulationError(
            f"{path} has retention factors that sum to {values.sum():.4g}; "
            "they are shares of one whole: divide each by the sum"
        )
