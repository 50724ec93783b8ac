"""Rows of small text tables: CSV files with a header and SWC morphologies. Errors name the file and the line."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from astro_sim.errors import SimulationError
from rmaat.base.files import read_text
from rmaat.base.records import unknown_name


@dataclass(frozen=True)
class Row:
    """One line of a table: its file, its line number, and its text by column."""

    path: Path
    line: int
    values: Mapping[str, str]

    def error(self, problem: str, remedy: str) -> SimulationError:
        """The error to raise for this line, from a `problem` and a `remedy`."""
        return SimulationError(f"{self.path}, line {self.line} {problem}; {remedy}")

    def number(self, column: str) -> float:
        """The number in `column`; raises `SimulationError` unless it is finite."""
        try:
            number = float(self.values[column])
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self.error(f"has {self.values[column]!r:.60} as {column}", "write a number")
        return number


def read_csv(path: Path, required: Sequence[str], optional: Sequence[str] | None = None) -> list[Row]:
    """Read the rows below the header of a CSV file; blank lines are skipped.

    Parameters
    ----------
    required, optional
        Names of the columns that the file must have, and of those that it may have. None allows any other column.

    Raises
    ------
    SimulationError
        There are no rows, a column is missing or unknown, a line has more or fewer entries than the header, or an entry
        is too long.
    FileError
        The file cannot be read.
    """
    # Spreadsheets start UTF-8 files with a byte order mark, which would become part of the first column's name.
    reader = csv.reader(read_text(path).lstrip("\ufeff").splitlines())
    try:
        lines = list(reader)
    except csv.Error as error:
        raise SimulationError(f"{path}, line {reader.line_num} is not CSV ({error}); correct the line") from error
    header = [name.strip() for name in lines[0]] if lines else []
    _check_header(path, header, required, optional)
    rows = []
    for place, entries in enumerate(lines[1:], start=2):
        if not any(entry.strip() for entry in entries):
            continue
        row = Row(path, place, dict(zip(header, map(str.strip, entries), strict=False)))
        if len(entries) != len(header):
            raise row.error(f"has {len(entries)} entries under {len(header)} columns", "write one for each column")
        rows.append(row)
    if not rows:
        raise SimulationError(f"{path} has no rows below its header; write at least one")
    return rows


def _check_header(path: Path, header: Sequence[str], required: Sequence[str], optional: Sequence[str] | None) -> None:
    first = f"{path}, line 1"
    for name in required:
        if name not in header:
            raise SimulationError(f"{first} has no column {name}; start the file with {','.join(required)}")
    for name in header:
        if header.count(name) > 1:
            raise SimulationError(f"{first} has the column {name} twice; give each column one name")
        if optional is not None and name not in (*required, *optional):
            raise SimulationError(f"{first}: {unknown_name('column', name, (*required, *optional))}")
