"""Frames of the synapses' variables over a run, for the page's animation: few, small and of 8 bits."""

import base64
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from astro_sim.runs.schema import SYNAPSE, TRIAL

MOST_FRAMES = 301
MOST_CELLS = 48
"""Neurons along an edge of the grid; of more, evenly chosen ones are shown."""

FIRST = "short_term_process"
"""The variable that the page shows first, if the file has it."""


def frames(traces: xr.Dataset, name: str, most_bytes: int) -> dict[str, Any]:
    """Frames of every variable over the synapses, of the first trial, in at most `most_bytes` before base64.

    The values are (frame, row, column) as unsigned bytes in base64: 0 is `low`, 255 is `high`, both in `unit`. Rows are
    postsynaptic and columns presynaptic neurons, and `post` and `pre` are their indices.
    """
    shown = sorted(
        (each for each in map(str, traces.data_vars) if _is_grid(traces[each])), key=lambda each: each != FIRST
    )
    post, pre = (_evenly(traces.sizes[dim], MOST_CELLS) for dim in SYNAPSE)
    affordable = most_bytes // (len(post) * len(pre) * max(len(shown), 1))
    time = _evenly(traces.sizes["time"], min(MOST_FRAMES, max(affordable, 2)))
    driven = (traces["presynaptic_drive"] != 0).any("pre").values
    return {
        "name": name,
        "time": traces["time"].values[time].tolist(),
        "driven": driven[time].tolist(),
        "post": post.tolist(),
        "pre": pre.tolist(),
        "synapses": int(traces.sizes["post"] * traces.sizes["pre"]),
        "variables": [_variable(traces[each], time, np.ix_(post, pre)) for each in shown],
    }


def _is_grid(array: xr.DataArray) -> bool:
    return tuple(dim for dim in array.dims if dim != TRIAL) == ("time", *SYNAPSE)


def _variable(array: xr.DataArray, time: NDArray, cells: tuple[NDArray, ...]) -> dict[str, Any]:
    first = array.isel({TRIAL: 0}) if TRIAL in array.dims else array
    # Frame by frame: the values of a large network do not fit into memory.
    values = np.stack([first[frame].values[cells] for frame in time])
    low, high = float(values.min()), float(values.max())
    # A variable that does not change is 0 everywhere.
    levels = (values - low) / ((high - low) or 1.0)
    return {
        "label": str(array.attrs.get("long_name", array.name)),
        "unit": str(array.attrs.get("units", "1")),
        "low": low,
        "high": high,
        "data": base64.b64encode(np.round(255 * levels).astype(np.uint8).tobytes()).decode(),
    }


def _evenly(count: int, most: int) -> NDArray:
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)
