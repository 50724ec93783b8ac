"""The traces, tables and runs that a report shows."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astro_sim.runs.schema import SCHEMA as TRACES
from distill import Tables, read_tables
from distill.tables import SCHEMA as TABLES
from figures.errors import FigureError
from figures.folder import datasets, folders
from model.training.run_folder import RunFolder


@dataclass(frozen=True)
class Sources:
    """What a folder holds, by paths relative to it."""

    traces: dict[str, Path] = field(default_factory=dict)
    tables: dict[str, Tables] = field(default_factory=dict)
    runs: dict[str, RunFolder] = field(default_factory=dict)


def find_sources(folder: Path, out: Path) -> Sources:
    """The sources in `folder`, at any depth; the tables inside a run count only if there are no others.

    Raises
    ------
    FigureError
        There are none.
    TableError, FileError
        Tables cannot be read.
    """
    found = Sources()
    for place in folders(folder, out):
        for path, schema in datasets(place):
            if schema == TRACES:
                found.traces[_name(path, folder)] = path
            elif schema == TABLES:
                found.tables[_name(path, folder)] = read_tables(path)
        if (run := RunFolder(place)).configuration.is_file():
            found.runs[_name(place, folder)] = run
    if not found.tables:
        found.tables.update(_tables_of_runs(found.runs, folder))
    if not (found.traces or found.tables or found.runs):
        raise FigureError(
            f"{folder} holds no traces, tables or run folder to report; make some with: rmaat demo --out {folder}"
        )
    return found


def read_attribute(attributes: Mapping[Any, Any], name: str, origin: str) -> dict[str, Any]:
    """The attribute `name` of a dataset, a mapping as JSON.

    Raises
    ------
    FigureError
        The attribute is missing or damaged; the sentence names the file `origin`.
    """
    try:
        values = json.loads(attributes[name])
    except (KeyError, TypeError, ValueError) as error:
        raise FigureError(f"{origin}: the attribute {name} is damaged ({error!r}); make the file again") from error
    if not isinstance(values, dict):
        raise FigureError(f"{origin}: the attribute {name} is no mapping of names to values; make the file again")
    return values


def _tables_of_runs(runs: Mapping[str, RunFolder], folder: Path) -> Iterator[tuple[str, Tables]]:
    for run in runs.values():
        if run.tables.is_file():
            yield _name(run.tables, folder), read_tables(run.tables)


def _name(path: Path, folder: Path) -> str:
    # A folder that is itself a run has the relative path ".".
    return path.relative_to(folder).as_posix() if path != folder else folder.resolve().name
