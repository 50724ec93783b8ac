"""Run the points of a design in batches: in parallel, resumable, and without stopping at points that fail.

The design alone decides the batches, so that any number of workers gives the same bits on the same kind of machine.
Each finished batch is a file, which is either complete or missing.
"""

import hashlib
import json
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
from rmaat.base.arrays import Array, packed, unpacked
from rmaat.base.errors import RmaatError
from rmaat.base.files import read_bytes, read_text, write_bytes, write_text
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.provenance import versions
from rmaat.base.records import Record

Result = TypeVar("Result")
Outcome = xr.Dataset | Exception
Measure = Callable[[Sequence[Any]], Sequence[Outcome]]
"""A function that takes the parameters of a batch and returns the result at each point: a dataset or an error.

A variable that the dataset of one point lacks is NaN there. A variable `message` describes a partial failure.
"""

MESSAGE = "message"
DESIGN = "sweep.json"


@dataclass(frozen=True)
class Each:
    """A `Measure` that calls `function` once per point; it returns a dataset, or numbers by name."""

    function: Callable[[Any], xr.Dataset | Mapping[str, Any]]

    def __call__(self, points: Sequence[Any]) -> list[Outcome]:
        """The result at each point; an exception is the result of its own point only."""
        return [attempt(self._measure, point) for point in points]

    def __repr__(self) -> str:
        return f"Each({_named(self.function)})"

    def _measure(self, point: Any) -> xr.Dataset:
        found = self.function(point)
        return found if isinstance(found, xr.Dataset) else xr.Dataset(dict(found))


def attempt(function: Callable[[Any], Result], argument: Any) -> Result | Exception:
    """`function(argument)`, or the exception that it raised, so that one point does not stop the others."""
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
    """Measure all points of a design, in batches.

    Parameters
    ----------
    base : Record
        Parameters that the design changes: `SimulationParameters`, `BiophysicalParameters` or your own.
    measure : callable
        As `Measure`; it is pickled for other processes. Its name, or its `repr` if it is not a function, identifies
        the sweep that a folder belongs to.
    folder : Path
        Stores finished batches. A call with the same arguments resumes from them. The caller removes the folder.
    workers : Workers
        Where the batches run; in this process by default.
    batch_size : int
        The number of points measured together.
    progress : callable, optional
        Called with the fraction done, in [0, 1].

    Returns
    -------
    Dataset
        Along `point`: the results of `measure`, NaN where it failed, and `message` with the reason of the failure, or
        an empty text. Varied parameters are coordinates.

    Raises
    ------
    UsageError
        The design has unknown names or invalid values.
    SimulationError
        All points failed, or `folder` belongs to another sweep or is damaged.
    FileError
        A file cannot be written.
    """
    rows = design.rows(base)
    batches = _batches(rows, batch_size)
    _claim(folder, base, rows, measure, batch_size)
    paths = [folder / f"batch-{number:05d}.npz" for number in range(len(batches))]
    missing = [number for number, path in enumerate(paths) if not path.is_file()]
    progress(1 - len(missing) / len(batches))
    tasks = [(base, [rows[point] for point in batches[number]], measure) for number in missing]
    if tasks:
        # Close the generator here: otherwise an error keeps it, and the workers, alive until its traceback is freed.
        with closing(workers.apply(_run_batch, tasks)) as results:
            for done, (place, dataset) in enumerate(results, start=1):
                write_bytes(paths[missing[place]], _packed(dataset))
                progress(1 - (len(missing) - done) / len(batches))
    found = _joined(paths, np.concatenate(batches))
    places: dict[str, Any] = {name: ("point", np.array([row[name] for row in rows])) for name in design.axes}
    return found.assign_coords(places | {"point": ("point", np.arange(len(rows)))})


def _joined(paths: Sequence[Path], points: Array) -> xr.Dataset:
    """The results of all batches in the order of the design; `points` numbers the points in the order of the files."""
    found = xr.concat([_read(path) for path in paths], "point", data_vars="all", coords="minimal", join="outer")
    found = found.isel(point=np.argsort(points))
    messages = found[MESSAGE].values
    if all(messages) and set(found.data_vars) == {MESSAGE}:
        raise SimulationError(f"all {messages.size} points failed; the first with: {messages[0]}")
    return found


def _named(measure: Callable[..., Any]) -> str:
    """The qualified name of a function, which is the same in every process, or the `repr` of another object."""
    name = getattr(measure, "__qualname__", None)
    return f"{measure.__module__}.{name}" if name else repr(measure)


def _batches(rows: Sequence[Mapping[str, Any]], size: int) -> list[list[int]]:
    """The numbers of the points in each batch; points with equal words and integers share batches if possible.

    Their networks may have the same size, which the batch engine can solve together.
    """

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
    """Write the identity of this sweep into `folder`, or check that the folder belongs to it."""
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
            f"{folder} has points of another sweep, or of other package versions; repeat the command that began it, "
            "write to another file, or delete the folder"
        )


def _packed(dataset: xr.Dataset) -> bytes:
    """The content of a batch file: the values of `dataset` without attributes, as NPZ.

    Not NetCDF: while a Dask client exists, xarray asks the scheduler for a lock, which may hang after an interrupt.
    """
    arrays = dataset.variables.items()
    return packed({f"{name}({','.join(map(str, array.dims))})": array.values for name, array in arrays})


def _read(path: Path) -> xr.Dataset:
    try:
        found = unpacked(read_bytes(path))
    except ValueError as error:
        raise SimulationError(f"{path} cannot be read ({error}); delete it and repeat the command") from error
    parts = ((key.rstrip(")").partition("("), values) for key, values in found.items())
    data: dict[str, Any] = {name: (tuple(filter(None, dims.split(","))), values) for (name, _, dims), values in parts}
    try:
        return xr.Dataset(data)
    except ValueError as error:
        raise SimulationError(f"{path} holds other axes ({error}); delete it and repeat the command") from error
