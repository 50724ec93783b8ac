"""Runs a design in batches: in parallel, going on after an interrupt, past points that fail.

Batches are made from the design alone, whoever computes them, so that the same design gives the same bits with any
number of workers of one kind of machine. Each batch that is done is a file of its own, whole or not at all.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from astro_sim.errors import SimulationError
from astro_sim.sweep.design import Design
from astro_sim.sweep.workers import InProcess, Workers
from rmaat.base.errors import RmaatError
from rmaat.base.files import read_text, write_bytes, write_text
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.provenance import versions
from rmaat.base.records import Record

Result = TypeVar("Result")
Outcome = xr.Dataset | Exception
Measure = Callable[[Sequence[Any]], Sequence[Outcome]]
"""From the parameters of a batch to what is measured at each point, or the error that stood in its way.

The datasets of all points have the same variables, or some of them; what one lacks is NaN there. A variable `message`
says what went wrong with a part of a point.
"""

MESSAGE = "message"
DESIGN = "sweep.json"


@dataclass(frozen=True)
class Each:
    """The measure that takes points one by one: `function` from parameters to a dataset or to numbers by name."""

    function: Callable[[Any], xr.Dataset | Mapping[str, Any]]

    def __call__(self, points: Sequence[Any]) -> list[Outcome]:
        """What is measured at each point; whatever is raised there is its outcome."""
        return [attempt(self._measure, point) for point in points]

    def __repr__(self) -> str:
        return f"Each({_named(self.function)})"

    def _measure(self, point: Any) -> xr.Dataset:
        found = self.function(point)
        return found if isinstance(found, xr.Dataset) else xr.Dataset(dict(found))


def attempt(function: Callable[[Any], Result], argument: Any) -> Result | Exception:
    """`function(argument)`, or what it raised: one point must not stop a thousand others."""
    try:
        return function(argument)
    except Exception as error:
        return error


def run_sweep(
    base: Record,
    design: Design,
    measure: Measure,
    folder: Path,
    workers: Workers = InProcess(),  # noqa: B008 (frozen)
    *,
    batch_size: int = 1,
    progress: Progress = ignore_progress,
) -> xr.Dataset:
    """Measure all points of `design` around `base`.

    Parameters
    ----------
    base : Record
        Parameters that the design changes: `SimulationParameters`, `BiophysicalParameters` or your own.
    measure : callable
        As `Measure`; it travels to other processes. Its name, or its text (`repr`) if it is no function, tells whether
        a folder is of the same sweep.
    folder : Path
        Keeps the batches that are done. With the same arguments the sweep goes on from there. The caller removes it.
    batch_size : int
        Points measured together.
    progress : callable, optional
        Told the fraction done, in [0, 1].

    Returns
    -------
    Dataset
        Along `point`: what `measure` found, NaN where it failed, and `message` with the reason, empty where all went
        well. Varied parameters are coordinates.

    Raises
    ------
    UsageError
        The design has names or values that the parameters do not have.
    SimulationError
        All points failed, or `folder` is of another sweep or damaged.
    FileError
        A file cannot be written.
    """
    rows, progress = design.rows(base), progress
    batches = _batches(rows, batch_size)
    _claim(folder, base, rows, measure, batch_size)
    paths = [folder / f"batch-{number:05d}.npz" for number in range(len(batches))]
    missing = [number for number, path in enumerate(paths) if not path.is_file()]
    progress(1 - len(missing) / len(batches))
    tasks = [(base, [rows[point] for point in batches[number]], measure) for number in missing]
    if tasks:
        # Closed at once where something is raised here: else the workers would live on until the error is forgotten.
        with closing(workers.apply(_run_batch, tasks)) as results:
            for done, (place, dataset) in enumerate(results, start=1):
                write_bytes(paths[missing[place]], _packed(dataset))
                progress(1 - (len(missing) - done) / len(batches))
    found = xr.concat([_read(path) for path in paths], "point", data_vars="all", coords="minimal", join="outer")
    found = found.isel(point=np.argsort(np.concatenate(batches)))
    messages = found[MESSAGE].values
    if all(messages) and set(found.data_vars) == {MESSAGE}:
        raise SimulationError(f"all {len(rows)} points failed, the first because {messages[0]}")
    places: dict[str, Any] = {name: ("point", np.array([row[name] for row in rows])) for name in design.axes}
    return found.assign_coords(places | {"point": ("point", np.arange(len(rows)))})


def _named(measure: Callable[..., Any]) -> str:
    """A function by its name, which stays from process to process, and anything else by its text."""
    name = getattr(measure, "__qualname__", None)
    return f"{measure.__module__}.{name}" if name else repr(measure)


def _batches(rows: Sequence[Mapping[str, Any]], size: int) -> list[list[int]]:
    """Numbers of points by batch; points that share words and whole numbers stand together, as they may be alike."""

    def kind(point: int) -> str:
        return repr([value for value in rows[point].values() if not isinstance(value, float)])

    order = sorted(range(len(rows)), key=kind)
    return [order[start : start + size] for start in range(0, len(order), size)]


def _run_batch(task: tuple[Record, Sequence[Mapping[str, Any]], Measure]) -> xr.Dataset:
    base, rows, measure = task
    points: list[Any] = [attempt(lambda row: base.override(row), row) for row in rows]  # type: ignore[arg-type]
    sound = [place for place, point in enumerate(points) if not isinstance(point, Exception)]
    outcomes = dict(zip(sound, measure([points[place] for place in sound]), strict=True)) if sound else {}
    datasets = [_with_message(outcomes.get(place, point)) for place, point in enumerate(points)]
    return xr.concat(datasets, "point", data_vars="all", coords="minimal", join="outer")


def _with_message(outcome: Any) -> xr.Dataset:
    if isinstance(outcome, RmaatError):
        return xr.Dataset({MESSAGE: str(outcome)})
    if isinstance(outcome, Exception):
        return xr.Dataset({MESSAGE: f"{type(outcome).__name__}: {outcome}"})
    return outcome if MESSAGE in outcome else outcome.assign({MESSAGE: ""})


def _claim(folder: Path, base: Record, rows: Sequence[Mapping[str, Any]], measure: Measure, batch_size: int) -> None:
    """Say in `folder` which sweep it is of, or see that it is of this one."""
    points = json.dumps([base.to_dict(), *rows], sort_keys=True)
    mine = {
        "points": hashlib.sha256(points.encode()).hexdigest(),
        "measure": _named(measure),
        "batch_size": batch_size,
        "versions": versions("numpy", "scipy", "xarray"),
    }
    path = folder / DESIGN
    if not path.is_file():
        write_text(path, json.dumps(mine, indent=1))
    elif read_text(path) != json.dumps(mine, indent=1):
        raise SimulationError(
            f"{folder} holds points of another sweep, or of other versions; give the command that began it, write to "
            "another file, or delete the folder"
        )


def _packed(dataset: xr.Dataset) -> bytes:
    """The values of `dataset`, without attributes.

    Not as NetCDF: while Dask's client is there xarray asks the scheduler for a lock, which may hang on an interrupt.
    """
    content, arrays = io.BytesIO(), dataset.variables.items()
    named: dict[str, Any] = {f"{name}({','.join(map(str, array.dims))})": array.values for name, array in arrays}
    np.savez(content, **named)
    return content.getvalue()


def _read(path: Path) -> xr.Dataset:
    try:
        with np.load(path) as arrays:
            found = {key: arrays[key] for key in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SimulationError(f"{path} cannot be read ({error}); delete it, and give the same command again") from error
    parts = ((key.rstrip(")").partition("("), values) for key, values in found.items())
    data: dict[str, Any] = {name: (tuple(filter(None, dims.split(","))), values) for (name, _, dims), values in parts}
    return xr.Dataset(data)
