"""Arrays that a distillation reads from traces: long-term curves, pairs of synapses, and the first stimulus.

`distil` and every point of a sweep use these functions, so they give the same numbers to the bit. The arithmetic is in
NumPy, because one call of xarray's costs as much as a whole fit. Traces in a file (`astro_sim.runs.traces.open_traces`)
are read in pieces, and only the variables needed.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from astro_sim.runs.traces import mean_over_synapses
from rmaat.base.arrays import Array

_SYNAPSE = ("post", "pre")


@dataclass(frozen=True, eq=False)
class Pairs:
    """All stored sources paired with all other synapses; each pair once, in a fixed order.

    Coupling and influence are symmetric. Counting pairs twice would halve the variance of fitted numbers.
    """

    distance: Array
    """(pair,), in synapse spacings"""
    coupling: Array
    """(pair,): coupling put in, dimensionless"""
    influence: Array
    """(pair,): influence measured, dimensionless"""
    offset: Array
    """(pair, 2): steps from source to synapse, in synapse spacings"""


@dataclass(frozen=True, eq=False)
class FirstStimulus:
    """Means over neurons, synapses and trials at the stored times of the first cycle with the drive on."""

    time: Array
    """(time,), s"""
    activity: Array
    """(time,): presynaptic activity phi(x_pre)"""
    response: Array
    """(time,): short-term process"""


def long_term_curves(traces: xr.Dataset) -> Array:
    """Mean long-term process over synapses at the start and at the end of each cycle, (trial, cycle + 1).

    Traces without the axis `trial` count as one trial.
    """
    ends = np.searchsorted(_array(traces, "time"), _array(traces, "cycle_end"))
    return np.atleast_2d(mean_over_synapses(traces["long_term_process"].isel(time=[0, *ends])))


def draws_random_numbers(traces: xr.Dataset) -> bool:
    """Whether the model draws random numbers, as the spiking model does; its parameters have a seed of the noise."""
    return "noise_seed" in json.loads(traces.attrs["parameters"]).get("solver", {})


def pairs(traces: xr.Dataset) -> Pairs:
    """Distances, couplings, influences and steps of the pairs of synapses in `traces`."""
    source_post, source_pre = (_array(traces, name) for name in ("source_post", "source_pre"))
    position = _array(traces, "synapse_position", *_SYNAPSE, "space")
    post, pre = position.shape[:2]
    synapse = np.arange(post * pre).reshape(post, pre, 1)
    source = source_post * pre + source_pre
    # A pair of two sources occurs twice in the traces; the one with the smaller source is kept.
    counted = (synapse != source) & ~(np.isin(synapse, source) & (synapse < source))
    distance, coupling, influence = (
        _array(traces, name, *_SYNAPSE, "source")[counted] for name in ("synapse_distance", "coupling", "influence")
    )
    offset = position[:, :, None, :] - position[source_post, source_pre]
    return Pairs(distance, coupling, influence, offset[counted])


def first_stimulus(traces: xr.Dataset) -> FirstStimulus:
    """Time, activity and response during the first stimulus in `traces`."""
    time = _array(traces, "time")
    # Search in the stored times: cycle ends are exact entries of them.
    first = traces["presynaptic_drive"].isel(time=slice(np.searchsorted(time, _array(traces, "cycle_end")[0], "right")))
    # Only positive drive counts as stimulus: inhibition gives no response to fit.
    driven = np.flatnonzero((first.values > 0).any(axis=1))
    activity = np.tanh(_contiguous(traces["presynaptic_activity"].isel(time=driven))).mean(axis=-1)
    response = mean_over_synapses(traces["short_term_process"].isel(time=driven))
    return FirstStimulus(time[driven], _over_trials(activity), _over_trials(response))


def _over_trials(values: Array) -> Array:
    """The mean (time,) of values (time,) or (trial, time)."""
    return np.atleast_2d(values).mean(axis=0)


def _array(traces: xr.Dataset, name: str, *dims: str) -> NDArray[Any]:
    """The values of one variable, with its axes in the order of `dims` if given."""
    variable = traces.variables[name]
    return _contiguous(variable.transpose(*dims) if dims else variable)


def _contiguous(values: xr.DataArray | xr.Variable) -> NDArray[Any]:
    """The values in C order, so that sums over traces from a file and from memory agree to the last bit."""
    return np.ascontiguousarray(values.values)
