"""The schema of the traces file: its variables with their axes, and the check of a file against it."""

import itertools
import json
from collections.abc import Iterator

import numpy as np
import xarray as xr

from rmaat.base.provenance import blocks

SCHEMA = "rmaat-traces"
SCHEMA_VERSION = 2
TRIALS_VERSION = 3
"""Version of files with the axis `trial`. Files without trials keep version 2."""
TRIAL = "trial"

SYNAPSE = ("post", "pre")
"""The axes of values at synapses."""
_PAIR = ("source", *SYNAPSE)
DIMS: dict[str, tuple[str, ...]] = {
    "time": ("time",),
    "presynaptic_activity": ("time", "pre"),
    "presynaptic_drive": ("time", "pre"),
    "postsynaptic_activity": ("time", "post"),
    "synaptic_facilitation": ("time", *SYNAPSE),
    "short_term_process": ("time", *SYNAPSE),
    "long_term_process": ("time", *SYNAPSE),
    "cycle_end": ("cycle",),
    "synapse_position": (*SYNAPSE, "space"),
    "synapse_distance": _PAIR,
    "coupling": _PAIR,
    "influence": _PAIR,
    "source_post": ("source",),
    "source_pre": ("source",),
}
"""The numeric variables that every traces file must have, with their axes in order."""
OPTIONAL_DIMS: dict[str, tuple[str, ...]] = {"influence_driven": _PAIR}
"""The numeric variables that a traces file may have, with their axes in order."""
VARIED = tuple(name for name, dims in DIMS.items() if dims[0] == "time" and name not in ("time", "presynaptic_drive"))
"""The variables that noise changes; in a file with trials, `trial` is their first axis."""
_INDICES = ("source_post", "source_pre")
_ATTRIBUTES = ("engine", "solver", "parameters", "parameter_details", "seed", "versions")
_RECORDS = ("solver", "parameters", "parameter_details", "versions")
"""The attributes that hold JSON objects."""
_UNITS = {"time": "s", "cycle_end": "s"} | dict.fromkeys(
    ("presynaptic_drive", "synapse_position", "synapse_distance", "coupling", "influence", "influence_driven"), "1"
)
"""The units of the variables for which every model has the same one."""
DIGEST = "content_sha256"
"""The attribute with the digest of everything else; files of before it was added lack it."""
REMEDY = "make it again with rmaat simulate"


def first_problem(dataset: xr.Dataset) -> str | None:
    """The first problem of a dataset, as the end of a sentence that starts with its path; None if it is valid."""
    checks = (_schema_problems, _record_problems, _variable_problems, _index_problems, _time_problems, _cycle_problems)
    return next(itertools.chain.from_iterable(check(dataset) for check in checks), None)


def _schema_problems(dataset: xr.Dataset) -> Iterator[str]:
    if dataset.attrs.get("schema") != SCHEMA:
        yield f"is not a traces file (schema {dataset.attrs.get('schema')!r}, not {SCHEMA!r}); {REMEDY}"
    wanted = TRIALS_VERSION if TRIAL in dataset.dims else SCHEMA_VERSION
    if (found := dataset.attrs.get("schema_version")) != wanted:
        yield f"has schema version {found}, and this toolkit reads {wanted}; {REMEDY}"
    for name in _ATTRIBUTES:
        if name not in dataset.attrs:
            yield f"lacks the attribute {name}; {REMEDY}"


def _record_problems(dataset: xr.Dataset) -> Iterator[str]:
    for name in _RECORDS:
        try:
            values = json.loads(dataset.attrs[name])
        except (TypeError, ValueError, RecursionError):
            values = None
        # The groups of parameters are records of their own.
        groups = values.values() if name == "parameters" and isinstance(values, dict) else ()
        if not isinstance(values, dict) or not all(isinstance(group, dict) for group in groups):
            yield f"has the attribute {name}, which does not hold names with values in JSON; {REMEDY}"


def _variable_problems(dataset: xr.Dataset) -> Iterator[str]:
    present = {name: dims for name, dims in OPTIONAL_DIMS.items() if name in dataset.variables}
    for name, dims in (DIMS | present).items():
        if TRIAL in dataset.dims and name in VARIED:
            dims = (TRIAL, *dims)
        if name not in dataset.variables:
            yield f"lacks the variable {name}; {REMEDY}"
            continue
        array = dataset[name]
        if array.dims != dims:
            yield f"has {name} over ({', '.join(map(str, array.dims))}), not ({', '.join(dims)}); {REMEDY}"
        if name in _UNITS and (found := array.attrs.get("units", _UNITS[name])) != _UNITS[name]:
            yield f"has {name} in the unit {found!r}, not {_UNITS[name]!r}; {REMEDY}"
        if not array.size:
            yield f"has no value of {name}; {REMEDY}"
        wanted, kind = ("whole", "i") if name in _INDICES else ("floating-point", "f")
        if array.dtype.kind != kind:
            yield f"has {name} as {array.dtype}, not as {wanted} numbers; {REMEDY}"
        elif not all(np.isfinite(block).all() for block in blocks(array)):
            yield f"has {_first_gap(array)}; {REMEDY}"


def _index_problems(dataset: xr.Dataset) -> Iterator[str]:
    for name, dim in zip(_INDICES, SYNAPSE, strict=True):
        for index in (int(dataset[name].min()), int(dataset[name].max())):
            if not 0 <= index < dataset.sizes[dim]:
                yield f"has {index} in {name}, but {dim} counts from 0 to {dataset.sizes[dim] - 1}; {REMEDY}"


def _time_problems(dataset: xr.Dataset) -> Iterator[str]:
    times = dataset["time"].values
    steps = np.diff(times)
    if (steps <= 0).any():
        place = int(np.argmax(steps <= 0))
        yield f"has times that do not increase ({times[place + 1]:g} s follows {times[place]:g} s); {REMEDY}"
    missing = np.setdiff1d(dataset["cycle_end"].values, times)
    if missing.size:
        yield f"has no values at {missing[0]:g} s, where a cycle ends; {REMEDY}"


def _cycle_problems(dataset: xr.Dataset) -> Iterator[str]:
    start, ends = dataset["time"].values[0], dataset["cycle_end"].values
    lengths = np.diff(ends, prepend=start)
    if (lengths <= 0).any():
        yield f"has cycles that do not end one after the other; {REMEDY}"
    elif not np.allclose(lengths, lengths[0], rtol=1e-6, atol=0):
        yield f"has cycles of {lengths.min():g} s and of {lengths.max():g} s; {REMEDY}"


def _first_gap(array: xr.DataArray) -> str:
    """The first value that is not finite, and its place, in words."""
    index = np.argwhere(~np.isfinite(array.values))[0]
    places = [
        f"time {array['time'].values[place]:g} s" if dim == "time" else f"{dim} {place}"
        for dim, place in zip(array.dims, index, strict=True)
    ]
    return f"{array.values[tuple(index)]} in {array.name} at {', '.join(places)}"
