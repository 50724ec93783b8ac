"""The traces file: the result of a simulation, as NetCDF that follows the CF conventions.

| variable | dims |
| --- | --- |
| `presynaptic_activity`, `presynaptic_drive` | time, pre |
| `postsynaptic_activity` | time, post |
| `synaptic_facilitation`, `short_term_process`, `long_term_process` | time, post, pre |
| `cycle_end` | cycle |
| `synapse_position` | post, pre, space |
| `synapse_distance`, `coupling`, `influence` | source, post, pre |
| `influence_driven` (optional) | source, post, pre |
| `source_post`, `source_pre` | source |

A file with several trials, which differ in their noise only, has `trial` as the first axis of activity, facilitation
and processes. It also has `noise_seed` (trial).

`influence` is measured at rest, `influence_driven` in the steady state under the mean drive of the first stimulus. The
second is missing in older files, in those of a sweep and in those of the biophysical model.

The sources are all synapses of a small network, or the synapse at the centre of a large one; `source_post` and
`source_pre` are their indices. A value stored at the edge of two cycles is the one before the restart. Global
attributes hold engine, solver, parameters, seed, versions and the SHA-256 of all else. There is no time stamp, so that
equal input gives equal content.
"""

import errno
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from astro_sim.durations import multiples
from astro_sim.errors import SimulationError
from astro_sim.protocol import presynaptic_drive
from astro_sim.runs.schema import (
    DIGEST,
    DIMS,
    OPTIONAL_DIMS,
    REMEDY,
    SCHEMA,
    SCHEMA_VERSION,
    SYNAPSE,
    TRIAL,
    TRIALS_VERSION,
    first_problem,
)
from rmaat.base.arrays import Array
from rmaat.base.files import atomic_file
from rmaat.base.provenance import blocks, versions
from rmaat.base.provenance import content_digest as content_digest
from rmaat.base.seals import is_sealed, seal

if TYPE_CHECKING:
    # For annotations only: a program that reads traces need not load the solvers.
    from astro_sim.engines.job import Job, Solution
    from astro_sim.equations.model import Variable
    from astro_sim.network.geometry import Geometry
    from astro_sim.parameter_set import SimulationParameters

_INPUTS = {
    "presynaptic_drive": ("1", "drive of presynaptic neurons", "b_j"),
    "cycle_end": ("s", "end of each cycle", "t τ_cycle"),
    "synapse_position": ("1", "midpoint between the two neurons of each synapse, in neuron spacings", ""),
    "synapse_distance": ("1", "distance between two synapses, in neuron spacings", "d"),
    "coupling": ("1", "coupling of the short-term process at source to that at post, pre", "T_ijkl"),
    "influence": ("1", "measured answer of the short-term process to a small push at source, per push", ""),
    "influence_driven": ("1", "the same in the steady state under the mean drive of the first stimulus", ""),
}


def build_traces(
    parameters: "SimulationParameters",
    engine: str,
    geometry: "Geometry",
    job: "Job",
    solution: "Solution",
    sources: Sequence[tuple[int, int]],
    influence: Array,
    influence_driven: Array | None = None,
) -> xr.Dataset:
    """Combine a solution and its inputs into a dataset for `write_traces`.

    Parameters
    ----------
    engine : str
        Name of the engine, for the attributes.
    solution : Solution
        States without values are left out; a run that is still to come has none.
    sources : sequence of (post, pre)
        The synapses for which distance, coupling and influence are stored.
    influence : (source, post, pre)
        The influence of `sources`, dimensionless, measured at rest.
    influence_driven : (source, post, pre), optional
        The same under the mean drive of the first stimulus.
    """
    protocol = parameters.protocol
    arrays = {
        "presynaptic_drive": presynaptic_drive(job.intervals, solution.times),
        "cycle_end": multiples(protocol.cycle_duration, protocol.run_duration)[1:],
        "synapse_position": geometry.position[..., :2],
        "synapse_distance": np.stack([geometry.distance_from(source) for source in sources]),
        "coupling": np.stack([job.coupling.between(source) for source in sources]),
        "influence": influence,
        **({} if influence_driven is None else {"influence_driven": influence_driven}),
    }
    data = {name: ((DIMS | OPTIONAL_DIMS)[name], arrays[name], _describe(*_INPUTS[name])) for name in arrays}
    states = {
        variable.label: (("time", *variable.dims), solution.values[variable.label], describe_state(variable))
        for variable in job.model.variables
        if variable.label in solution.values
    }
    coordinates = _coordinates(solution.times, protocol.cycles, job.coupling.shape, sources)
    return xr.Dataset(data, coordinates, _attributes(parameters, engine, solution)).assign(states)


def stack_trials(trials: Sequence[xr.Dataset], names: Sequence[str], seeds: Sequence[int]) -> xr.Dataset:
    """Join traces that differ in the variables `names` only; in the result `trial` is the first axis of these.

    `seeds` are the seeds of the noise of each trial.
    """
    varied = xr.concat([trial[list(names)] for trial in trials], TRIAL, combine_attrs="override")
    stacked = trials[0].assign({name: varied[name] for name in names}).assign_attrs(schema_version=TRIALS_VERSION)
    return stacked.assign_coords(
        {
            TRIAL: (TRIAL, np.arange(1, len(trials) + 1), {"long_name": "number of the trial, from 1"}),
            "noise_seed": (TRIAL, np.asarray(seeds), {"long_name": "seed of the noise of the trial"}),
        }
    )


def describe_state(variable: "Variable") -> dict[str, str]:
    """The attributes of a state variable in the file."""
    return _describe("1", variable.meaning, variable.symbol)


def write_traces(dataset: xr.Dataset, path: str | Path) -> None:
    """Write `dataset` to `path` as NetCDF 4, completely or not at all.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    sealed = dataset.assign_attrs({DIGEST: content_digest(dataset)})
    with atomic_file(Path(path)) as temporary, refused_writes():
        sealed.to_netcdf(temporary, engine="netcdf4", format="NETCDF4")
        seal(temporary)


@contextmanager
def refused_writes() -> Iterator[None]:
    """Turn the HDF5 library's RuntimeError for a refused write into an OSError."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("NetCDF"):
            raise
        raise OSError(errno.EIO, f"{error} (is the disk full?)") from error


def read_traces(path: str | Path) -> xr.Dataset:
    """Read a checked traces file into memory, and close the file; raises as `open_traces`."""
    with open_traces(path) as dataset:
        return dataset.load()


@contextmanager
def open_traces(path: str | Path) -> Iterator[xr.Dataset]:
    """Open a traces file, check it, and yield it. Values are read on use, so that it may be larger than memory.

    Raises
    ------
    SimulationError
        The file is missing or not NetCDF, its schema or version is unsupported, a variable is missing or has other
        axes or another unit, a value is not finite, the times do not increase, or the file was changed after it was
        written.
    """
    path = Path(path)
    with _opened(path) as (dataset, is_checked):
        problem = first_problem(dataset)
        if problem:
            raise SimulationError(f"{path} {problem}")
        stored = dataset.attrs.pop(DIGEST, None)
        # Files of before seals were added, and those that other programs wrote again, have the digest alone.
        if not is_checked and stored is not None and stored != content_digest(dataset):
            raise _changed(path)
        yield dataset


def mean_over_synapses(array: xr.DataArray) -> Array:
    """The means (time,), or (trial, time), of values (time, post, pre), or (trial, time, post, pre), in the same unit.

    Values in a file are read in pieces. The result has the same bits as for values in memory.
    """
    if TRIAL in array.dims:
        return np.stack([mean_over_synapses(array.isel({TRIAL: trial})) for trial in range(array.sizes[TRIAL])])
    return np.concatenate([np.empty(0), *(block.mean(axis=(1, 2)) for block in blocks(array))])


def _describe(units: str, long_name: str, symbol: str) -> dict[str, str]:
    return {"units": units, "long_name": long_name} | ({"symbol": symbol} if symbol else {})


def _coordinates(
    times: Array, cycles: int, shape: tuple[int, int], sources: Sequence[tuple[int, int]]
) -> dict[str, Any]:
    coordinates: dict[str, Any] = {
        "time": ("time", times, {**_describe("s", "time since the start of the run", "t"), "axis": "T"}),
        "cycle": ("cycle", np.arange(1, cycles + 1), {"long_name": "number of the cycle, from 1"}),
        # Characters: the NetCDF library crashes if it opens a file with texts of variable length twice.
        "space": ("space", ["x", "y"], {"long_name": "axis of the plane"}, {"dtype": "S1"}),
    }
    words = {"post": "postsynaptic", "pre": "presynaptic"}
    for dim, size, of_source in zip(SYNAPSE, shape, np.transpose(sources), strict=True):
        name = f"index of the {words[dim]} neuron"
        coordinates[dim] = (dim, np.arange(size), {"long_name": name})
        coordinates[f"source_{dim}"] = ("source", of_source, {"long_name": f"{name} of the source synapse"})
    return coordinates


def _attributes(parameters: "SimulationParameters", engine: str, solution: "Solution") -> dict[str, Any]:
    details = {
        path[-1]: {
            "unit": quantity.unit,
            "low": quantity.low if math.isfinite(quantity.low) else None,
            "high": quantity.high if math.isfinite(quantity.high) else None,
            "choices": quantity.choices,
            "source": quantity.said_by,
            "symbol": quantity.symbol,
            "meaning": quantity.meaning,
        }
        for path, _, quantity in parameters.parameters()
    }
    return {
        "Conventions": "CF-1.11",
        "title": "Simulated neuron-astrocyte network",
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "engine": engine,
        "solver": json.dumps(dict(solution.solver)),
        "parameters": json.dumps(parameters.to_dict()),
        "parameter_details": json.dumps(details, ensure_ascii=False),
        "seed": parameters.network.seed,
        "versions": json.dumps(versions("numpy", "scipy", "xarray", *solution.packages)),
    }


DAMAGED = (OSError, RuntimeError, ValueError, AttributeError, KeyError, IndexError, TypeError)
"""What netCDF4 and xarray raise for damaged files."""


@contextmanager
def _opened(path: Path) -> Iterator[tuple[xr.Dataset, bool]]:
    """Yield the dataset, and whether the file ends in the seal of its content."""
    if path.is_dir():
        raise SimulationError(f"{path} is a folder; give a file from rmaat simulate")
    if not path.is_file():
        raise SimulationError(f"{path} does not exist; make it with rmaat simulate")
    try:
        is_checked = is_sealed(path)
    except ValueError:
        raise _changed(path) from None
    try:
        dataset = xr.open_dataset(path, engine="netcdf4", decode_times=False, cache=False)
    except DAMAGED as error:
        raise _unreadable(path, error) from error
    with dataset:
        try:
            yield dataset, is_checked
        except DAMAGED as error:
            if not str(error).startswith("NetCDF"):
                raise
            raise _unreadable(path, error) from error


def _changed(path: Path) -> SimulationError:
    return SimulationError(f"{path} was changed after it was written (another SHA-256); {REMEDY}")


def _unreadable(path: Path, error: Exception) -> SimulationError:
    return SimulationError(f"{path} is not a NetCDF file that can be read ({' '.join(str(error).split())}); {REMEDY}")
