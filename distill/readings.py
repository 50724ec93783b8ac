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
from distill.errors import DistillError
from rmaat.base.arrays import Array

_SYNAPSE = ("post", "pre")
LEAST_TIMES = 10
"""Fewest stored times in a cycle, evenly spread, from which its area is computed."""
FARTHEST = 1e9
"""Largest distance of two synapses, in synapse spacings; the squares of larger ones overflow in the fits."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """All stored sources paired with all other synapses; each pair once, in a fixed order.

    Coupling and influence at rest are symmetric. Counting pairs twice would halve the variance of fitted numbers.
    """

    distance: Array
    """(pair,), in synapse spacings"""
    coupling: Array
    """(pair,): coupling put in, dimensionless"""
    influence: Array
    """(pair,): influence measured at rest, dimensionless"""
    influence_driven: Array | None
    """(pair,): influence in the driven steady state, the mean of both directions; None if the traces hold none"""
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
    """Distances, couplings, influences and steps of the pairs of synapses in `traces`.

    Raises
    ------
    DistillError
        Two synapses are farther apart than `FARTHEST`.
    """
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
    if distance.size and (farthest := np.abs(distance).max()) > FARTHEST:
        raise DistillError(
            f"two synapses are {farthest:g} spacings apart, and at most {FARTHEST:g} are allowed; correct the layout"
        )
    offset = position[:, :, None, :] - position[source_post, source_pre]
    driven = None
    if "influence_driven" in traces.variables:
        driven = _both_ways(_array(traces, "influence_driven", *_SYNAPSE, "source"), source)[counted]
    return Pairs(distance, coupling, influence, driven, offset[counted])


def cycle_areas(traces: xr.Dataset) -> Array:
    """The area under the mean long-term process, above its start, in each cycle, (cycle,), in its unit times a cycle.

    The trapezoid rule over the stored times; the mean is over synapses and trials.

    Raises
    ------
    DistillError
        The traces store fewer than `LEAST_TIMES` times in some part of a cycle, so that the area is not determined.
    """
    time, ends = _array(traces, "time"), _array(traces, "cycle_end")
    gap, duration = np.diff(time).max(), ends[0] - time[0]
    if gap > duration / LEAST_TIMES * (1 + 1e-9):
        raise DistillError(
            f"the traces have a gap of {gap:g} s in cycles of {duration:g} s and their area needs at least "
            f"{LEAST_TIMES} stored times a cycle; shorten recording_interval"
        )
    process = _over_trials(mean_over_synapses(traces["long_term_process"]))
    process = process - process[0]
    area = np.concatenate([[0.0], np.cumsum(np.diff(time) * (process[1:] + process[:-1]) / 2)])
    return np.diff(area[np.searchsorted(time, ends)], prepend=0.0) / duration


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


def _both_ways(strength: Array, source: NDArray[Any]) -> Array:
    """`strength` (post, pre, source), with the mean of both directions where both synapses are sources.

    The driven influence is not symmetric: the synapse that is driven more answers less.
    """
    mean = strength.reshape(-1, len(source)).copy()
    mean[source] = (mean[source] + mean[source].T) / 2
    return mean.reshape(strength.shape)


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
