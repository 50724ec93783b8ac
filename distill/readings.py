"""What a distillation reads from traces, as arrays: the long-term curves, the pairs of synapses, the first stimulus.

`distil` and every point of a sweep begin here, so that they give the same numbers to the bit. Nothing here is xarray's
arithmetic, whose cost per call is that of a whole point.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from distill.law import Array

_TRIAL = "trial"
_SYNAPSE = ("post", "pre")


@dataclass(frozen=True, eq=False)
class Pairs:
    """All stored sources with all synapses but themselves, each pair once, in one order.

    Coupling and influence are the same both ways; a pair counted twice would halve the variance of what is fitted.
    """

    distance: Array
    """(pair,), in synapse spacings"""
    coupling: Array
    """(pair,): what was put in"""
    influence: Array
    """(pair,): what was measured"""
    offset: Array
    """(pair, 2): steps from source to synapse"""


@dataclass(frozen=True, eq=False)
class FirstStimulus:
    """The stored times of the first cycle at which the drive is on; means over neurons, synapses and trials."""

    time: Array
    """(time,), s"""
    activity: Array
    """(time,): presynaptic activity phi(x_pre)"""
    response: Array
    """(time,): short-term process"""


def long_term_curves(traces: xr.Dataset) -> Array:
    """The mean over synapses at the start and at each cycle's end, (trial, cycle + 1); one trial where none is told."""
    mean = _array(traces, "long_term_process", _TRIAL, "time", *_SYNAPSE).mean(axis=(-2, -1))
    ends = np.searchsorted(_array(traces, "time"), _array(traces, "cycle_end"))
    return np.ascontiguousarray(np.atleast_2d(mean)[:, [0, *ends]])


def draws_random_numbers(traces: xr.Dataset) -> bool:
    """Whether the model itself does, as the spiking one, whose parameters name the seed of its noise."""
    return "noise_seed" in json.loads(traces.attrs["parameters"]).get("solver", {})


def pairs(traces: xr.Dataset) -> Pairs:
    """Distances, strengths and steps of the pairs of synapses."""
    source_post, source_pre = (_array(traces, name) for name in ("source_post", "source_pre"))
    position = _array(traces, "synapse_position", *_SYNAPSE, "space")
    post, pre = position.shape[:2]
    synapse = np.arange(post * pre).reshape(post, pre, 1)
    source = source_post * pre + source_pre
    counted = (synapse != source) & ~(np.isin(synapse, source) & (synapse < source))
    distance, coupling, influence = (
        _array(traces, name, *_SYNAPSE, "source")[counted] for name in ("synapse_distance", "coupling", "influence")
    )
    offset = position[:, :, None, :] - position[source_post, source_pre]
    return Pairs(distance, coupling, influence, offset[counted])


def first_stimulus(traces: xr.Dataset) -> FirstStimulus:
    """Time, activity and response while the drive is first on."""
    time = _array(traces, "time")
    first = time <= _array(traces, "cycle_end")[0]
    driven = first & (_array(traces, "presynaptic_drive", "time", "pre") > 0).any(axis=1)
    activity = np.tanh(_array(traces, "presynaptic_activity", _TRIAL, "time", "pre")[..., driven, :])
    response = _array(traces, "short_term_process", _TRIAL, "time", *_SYNAPSE)[..., driven, :, :]
    return FirstStimulus(time[driven], _over_time(activity, 1), _over_time(response, 2))


def _over_time(values: Array, places: int) -> Array:
    """The mean (time,) over trials before the axis of time and over `places` axes after it."""
    axis = values.ndim - places - 1
    return values.mean(axis=tuple(other for other in range(values.ndim) if other != axis))


def _array(traces: xr.Dataset, name: str, *dims: str) -> NDArray[Any]:
    """The values with their axes in the order of `dims`, of which the traces may lack the first, that of trials.

    In one memory layout, so that traces from a file and from a simulation give the same last digit.
    """
    variable = traces.variables[name]
    if dims:
        variable = variable.transpose(*(dim for dim in dims if dim in variable.dims))
    return np.ascontiguousarray(variable.values)
