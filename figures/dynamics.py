"""The dynamics of neurons, synapses and astrocytic processes."""

import math

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from astro_sim.runs.schema import TRIAL
from figures.style import (
    FACILITATION,
    LONG_TERM,
    POSTSYNAPTIC,
    PRESYNAPTIC,
    REFERENCE,
    SHORT_TERM,
    STIMULUS,
    axis_label,
    paper_style,
    units_of,
)
from rmaat.base.provenance import blocks

PANELS = {
    "presynaptic_activity": ("presynaptic\nactivity", "x_j", PRESYNAPTIC),
    "postsynaptic_activity": ("postsynaptic\nactivity", "x_i", POSTSYNAPTIC),
    "synaptic_facilitation": ("synaptic\nfacilitation", "s_{ij}", FACILITATION),
    "short_term_process": ("short-term\nprocess", "p^s_{ij}", SHORT_TERM),
    "long_term_process": ("long-term\nprocess", "p^l_{ij}", LONG_TERM),
}
"""The variables from top to bottom, with words, symbol and colour."""

MOST_SINGLE_LINES = 64
"""Neurons or synapses drawn one by one at most."""
MOST_CYCLE_TICKS = 12
"""With more cycles than this Matplotlib chooses the ticks."""


@paper_style()
def draw_dynamics(traces: xr.Dataset) -> Figure:
    """Neurons, synapses and both astrocytic processes over the run.

    The paper (arXiv 2601.00426) shows such traces in its figure 3, which we have not seen; this drawing is ours.
    There is one panel per variable, dimensionless, against time in s. Thin lines are single neurons or synapses, the
    bold line is their mean, and the stimulus is shaded. Markers on the long-term process show the ends of the cycles,
    whose increments give the retention factors. Of a large network 64 evenly chosen neurons or synapses are drawn, with
    the mean of all. Several trials are drawn into one figure.

    Parameters
    ----------
    traces
        As `astro_sim.read_traces` returns them, or as `astro_sim.open_traces` yields them: only the drawn curves of a
        large file stay in memory.
    """
    figure = Figure(figsize=(7, 7.2))
    panels = figure.subplots(len(PANELS), 1, sharex=True)
    for axes, name in zip(panels, PANELS, strict=True):
        _draw_panel(axes, traces[name])
        for start, end in stimulus_spans(traces):
            axes.axvspan(start, end, color=STIMULUS, linewidth=0, zorder=0)
    _mark_cycle_ends(panels[-1], traces)
    panels[-1].set_xlabel(axis_label("time", "t", units_of(traces["time"])))
    panels[-1].set_xlim(*traces["time"].values[[0, -1]])
    if traces.sizes["cycle"] <= MOST_CYCLE_TICKS:
        panels[-1].set_xticks([traces["time"].values[0], *traces["cycle_end"].values])
    figure.align_ylabels()
    figure.suptitle(f"Neuron-astrocyte dynamics over {traces.sizes['cycle']} cycles")
    _add_legend(figure, traces)
    return figure


def stimulus_spans(traces: xr.Dataset) -> list[tuple[float, float]]:
    """Start and end, in s, of each stretch of time in which at least one presynaptic neuron is driven."""
    time = traces["time"].values
    driven = (traces["presynaptic_drive"] != 0).any("pre").values
    # False at both ends turns a drive that starts or ends with the run into two edges.
    edges = np.flatnonzero(np.diff(driven, prepend=False, append=False))
    # The drive stored at a time acted before it. A stimulus therefore starts one stored time before its first value.
    return [(float(time[max(on - 1, 0)]), float(time[off - 1])) for on, off in edges.reshape(-1, 2)]


def _draw_panel(axes: Axes, variable: xr.DataArray) -> None:
    words, symbol, colour = PANELS[str(variable.name)]
    time, (single, mean) = variable["time"].values, _curves(variable)
    axes.plot(time, single, color=colour, linewidth=0.6, alpha=0.55)
    # The white rim makes the mean visible among many lines of its colour.
    rim = withStroke(linewidth=2.8, foreground="white")
    axes.plot(time, mean, color=colour, linewidth=2, path_effects=[rim])
    axes.set_ylabel(axis_label(words + "\n", symbol, units_of(variable)))
    axes.margins(y=0.08)


def _curves(variable: xr.DataArray) -> tuple[NDArray, NDArray]:
    """Curves (time, curve) of evenly chosen neurons or synapses, and the mean (time,) of all; read in pieces."""
    if TRIAL in variable.dims:
        trials = [_curves(variable.isel({TRIAL: trial})) for trial in range(variable.sizes[TRIAL])]
        single = np.concatenate([curves for curves, _ in trials], axis=1)
        return single[:, _evenly(single.shape[1])], np.mean([mean for _, mean in trials], axis=0)
    chosen = _evenly(math.prod(variable.shape[1:]))
    # Block by block: the traces of a large network do not fit into memory.
    rows = (block.reshape(len(block), -1) for block in blocks(variable))
    single, means = zip(*((each[:, chosen], each.mean(axis=1)) for each in rows), strict=True)
    return np.concatenate(single), np.concatenate(means)


def _evenly(count: int) -> NDArray:
    return np.linspace(0, count - 1, min(count, MOST_SINGLE_LINES)).round().astype(int)


def _mark_cycle_ends(axes: Axes, traces: xr.Dataset) -> None:
    ends = traces["cycle_end"].values
    values = traces["long_term_process"].sel(time=ends)
    mean = values.mean([dim for dim in values.dims if dim != "time"])
    # The last marker is on the right edge, where the axis would cut it.
    axes.plot(ends, mean, "o", color=LONG_TERM, markeredgecolor="black", clip_on=False, zorder=3)


def _add_legend(figure: Figure, traces: xr.Dataset) -> None:
    synapses = traces.sizes["post"] * traces.sizes["pre"] * traces.sizes.get(TRIAL, 1)
    single = "each neuron or synapse"
    if synapses > MOST_SINGLE_LINES:
        single = f"single neurons or synapses ({MOST_SINGLE_LINES} of {synapses} synapses)"
    handles = [
        Patch(color=STIMULUS, label="stimulus"),
        Line2D([], [], color=REFERENCE, linewidth=2, label="mean"),
        Line2D([], [], color=REFERENCE, linewidth=0.6, label=single),
        Line2D([], [], color=LONG_TERM, marker="o", markeredgecolor="black", linewidth=0, label="end of a cycle"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
