"""The traces file: what a simulation leaves for the rooms downstream, as NetCDF by the CF conventions.

| variable | dims |
| --- | --- |
| `presynaptic_activity`, `presynaptic_drive` | time, pre |
| `postsynaptic_activity` | time, post |
| `synaptic_facilitation`, `short_term_process`, `long_term_process` | time, post, pre |
| `cycle_end` | cycle |
| `synapse_position` | post, pre, space |
| `synapse_distance`, `coupling`, `influence` | source, post, pre |
| `source_post`, `source_pre` | source |

A file of several trials, which differ in their noise only, has `trial` as the first axis of activity, facilitation and
processes, and `noise_seed` (trial). Sources are all synapses of a small network and the one at the centre of a large
one; `source_post` and `source_pre` tell which. A value stored at the edge of two cycles is the one before the restart.
Global attributes tell engine, solver, parameters, seed and versions; there is no time stamp, so that equal input gives
equal content.
"""

import errno
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from astro_sim.durations import multiples
from astro_sim.errors import SimulationError
from astro_sim.protocol import presynaptic_drive
from rmaat.base.arrays import Array
from rmaat.base.files import atomic_file
from rmaat.base.provenance import blocks, versions
from rmaat.base.provenance import content_digest as content_digest

if TYPE_CHECKING:
    # Readers of traces need no solvers.
    from astro_sim.engines.job import Job, Solution
    from astro_sim.equations.model import Variable
    from astro_sim.network.geometry import Geometry
    from astro_sim.parameter_set import SimulationParameters

SCHEMA = "rmaat-traces"
SCHEMA_VERSION = 2
TRIALS_VERSION = 3
"""Of files with the axis `trial`; one without it is as it was, so that what reads version 2 reads it."""
TRIAL = "trial"

_SYNAPSE = ("post", "pre")
_PAIR = ("source", *_SYNAPSE)
DIMS: Mapping[str, tuple[str, ...]] = {
    "time": ("time",),
    "presynaptic_activity": ("time", "pre"),
    "presynaptic_drive": ("time", "pre"),
    "postsynaptic_activity": ("time", "post"),
    "synaptic_facilitation": ("time", *_SYNAPSE),
    "short_term_process": ("time", *_SYNAPSE),
    "long_term_process": ("time", *_SYNAPSE),
    "cycle_end": ("cycle",),
    "synapse_position": (*_SYNAPSE, "space"),
    "synapse_distance": _PAIR,
    "coupling": _PAIR,
    "influence": _PAIR,
    "source_post": ("source",),
    "source_pre": ("source",),
}
"""Every variable of numbers that a traces file must have, with its axes in order."""
VARIED = tuple(name for name, dims in DIMS.items() if dims[0] == "time" and name not in ("time", "presynaptic_drive"))
"""What noise changes: in a file of trials these have `trial` as their first axis."""
_INDICES = ("source_post", "source_pre")

_INPUTS = {
    "presynaptic_drive": ("1", "drive of presynaptic neurons", "b_j"),
    "cycle_end": ("s", "end of each cycle", "t τ_cycle"),
    "synapse_position": ("1", "midpoint between the two neurons of each synapse, in neuron spacings", ""),
    "synapse_distance": ("1", "distance between two synapses, in neuron spacings", "d"),
    "coupling": ("1", "coupling of the short-term process at source to that at post, pre", "T_ijkl"),
    "influence": ("1", "measured answer of the short-term process to a small push at source, per push", ""),
}
_ATTRIBUTES = ("engine", "solver", "parameters", "parameter_details", "seed", "versions")
_REMEDY = "make it again with rmaat simulate"


def build_traces(
    parameters: "SimulationParameters",
    engine: str,
    geometry: "Geometry",
    job: "Job",
    solution: "Solution",
    sources: Sequence[tuple[int, int]],
    influence: Array,
) -> xr.Dataset:
    """Gather a solution and what led to it into a dataset that `write_traces` can write.

    `influence` (source, post, pre) is that of `sources`; distance and coupling are stored for the same. States are left
    out where `solution` has no values, as of a run that is still to be made.
    """
    protocol = parameters.protocol
    arrays = {
        "presynaptic_drive": presynaptic_drive(job.intervals, solution.times),
        "cycle_end": multiples(protocol.cycle_duration, protocol.run_duration)[1:],
        "synapse_position": geometry.position[..., :2],
        "synapse_distance": np.stack([geometry.distance_from(source) for source in sources]),
        "coupling": np.stack([job.coupling.between(source) for source in sources]),
        "influence": influence,
    }
    data = {name: (DIMS[name], arrays[name], _describe(*_INPUTS[name])) for name in arrays}
    states = {
        variable.label: (("time", *variable.dims), solution.values[variable.label], describe_state(variable))
        for variable in job.model.variables
        if variable.label in solution.values
    }
    coordinates = _coordinates(solution.times, protocol.cycles, job.coupling.shape, sources)
    return xr.Dataset(data, coordinates, _attributes(parameters, engine, solution)).assign(states)


def stack_trials(trials: Sequence[xr.Dataset], names: Sequence[str], seeds: Sequence[int]) -> xr.Dataset:
    """Traces that differ in the variables `names` only as one dataset, in which these have `trial` as first axis."""
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


def write_traces(dataset: xr.Dataset, path: Path) -> None:
    """Write `dataset` to `path` as NetCDF 4, whole or not at all; raises `rmaat.base.files.FileError`."""
    with atomic_file(path) as temporary, refused_writes():
        dataset.to_netcdf(temporary, engine="netcdf4", format="NETCDF4")


@contextmanager
def refused_writes() -> Iterator[None]:
    """Turn the HDF5 library's word for a write that the system refused into the system's own."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("NetCDF"):
            raise
        raise OSError(errno.EIO, f"{error} (is the disk full?)") from error


def read_traces(path: Path) -> xr.Dataset:
    """Read and check a traces file; it is in memory and the file closed when this returns; raises as `open_traces`."""
    with open_traces(path) as dataset:
        return dataset.load()


@contextmanager
def open_traces(path: Path) -> Iterator[xr.Dataset]:
    """Yield a checked traces file whose values are read when they are used, so that it may be larger than memory.

    Raises
    ------
    SimulationError
        The file is missing, is no NetCDF file, has another schema or version, lacks a variable, has other axes, or
        holds a value that is not finite or times that do not increase.
    """
    with _opened(path) as dataset:
        problem = _problem(dataset)
        if problem:
            raise SimulationError(f"{path} {problem}")
        yield dataset


def mean_over_synapses(array: xr.DataArray) -> Array:
    """The means (time,), or (trial, time), of values (..., time, post, pre).

    They are the same to the bit for values in memory and in a file, of which only pieces are read at a time.
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
        "space": ("space", ["x", "y"], {"long_name": "axis of the plane"}),
    }
    words = {"post": "postsynaptic", "pre": "presynaptic"}
    for dim, size, of_source in zip(_SYNAPSE, shape, np.transpose(sources), strict=True):
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


@contextmanager
def _opened(path: Path) -> Iterator[xr.Dataset]:
    if not path.is_file():
        raise SimulationError(f"{path} is not there; make it with rmaat simulate")
    try:
        dataset = xr.open_dataset(path, engine="netcdf4", decode_times=False, cache=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreadable(path, error) from error
    with dataset:
        try:
            yield dataset
        except (OSError, RuntimeError, ValueError) as error:
            if not str(error).startswith("NetCDF"):
                raise
            raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> SimulationError:
    return SimulationError(f"{path} is not a NetCDF file that can be read ({' '.join(str(error).split())}); {_REMEDY}")


def _problem(dataset: xr.Dataset) -> str | None:
    """What is wrong with a traces dataset, as the rest of a sentence that starts with its path."""
    if dataset.attrs.get("schema") != SCHEMA:
        return f"is not a traces file (schema {dataset.attrs.get('schema')!r}, not {SCHEMA!r}); {_REMEDY}"
    wanted_version = TRIALS_VERSION if TRIAL in dataset.dims else SCHEMA_VERSION
    if (found := dataset.attrs.get("schema_version")) != wanted_version:
        return f"has schema version {found}, and this toolkit reads {wanted_version}; {_REMEDY}"
    for name in _ATTRIBUTES:
        if name not in dataset.attrs:
            return f"lacks the attribute {name}; {_REMEDY}"
    for name, dims in DIMS.items():
        if TRIAL in dataset.dims and name in VARIED:
            dims = (TRIAL, *dims)
        if name not in dataset.variables:
            return f"lacks the variable {name}; {_REMEDY}"
        if dataset[name].dims != dims:
            return f"has {name} over ({', '.join(map(str, dataset[name].dims))}), not ({', '.join(dims)}); {_REMEDY}"
        wanted, kind = ("whole", "i") if name in _INDICES else ("floating-point", "f")
        if dataset[name].dtype.kind != kind:
            return f"has {name} as {dataset[name].dtype}, not as {wanted} numbers; {_REMEDY}"
        if not all(np.isfinite(block).all() for block in blocks(dataset[name])):
            return f"has {_first_gap(dataset[name])}; {_REMEDY}"
    steps = np.diff(dataset["time"].values)
    if (steps <= 0).any():
        place = int(np.argmax(steps <= 0))
        before, after = dataset["time"].values[place : place + 2]
        return f"has times that do not increase ({after:g} s follows {before:g} s); {_REMEDY}"
    missing = np.setdiff1d(dataset["cycle_end"].values, dataset["time"].values)
    if missing.size:
        return f"has no values at {missing[0]:g} s, where a cycle ends; {_REMEDY}"
    return None


def _first_gap(array: xr.DataArray) -> str:
    index = np.argwhere(~np.isfinite(array.values))[0]
    places = [
        f"time {array['time'].values[place]:g} s" if dim == "time" else f"{dim} {place}"
        for dim, place in zip(array.dims, index, strict=True)
    ]
    return f"{array.values[tuple(index)]} in {array.name} at {', '.join(places)}"
