"""How the tables change with the parameters of the simulation: one column for each parameter that varied."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill.inverse.sweep_file import rank_correlations, summary, varied, varies
from figures.style import (
    LONG_TERM,
    PRESYNAPTIC,
    REFERENCE,
    SHORT_TERM,
    axis_label,
    label_one_two_five,
    paper_style,
    units_of,
)

COLOURS = (LONG_TERM, LONG_TERM, SHORT_TERM, PRESYNAPTIC)
"""Colours of the rows, in the order of `distill.inverse.sweep_file.summary`."""
WIDTH, HEIGHT = 2.0, 1.7
"""Size of a panel in inches."""
GROUPS = 12
"""Groups of points that the line of medians joins."""
FEWEST_IN_GROUP = 5
"""Points in a group at least; fewer points make fewer groups."""
WIDE_RATIO = 8
"""Ratio of largest to smallest value from which on a positive parameter has a logarithmic axis."""
WORDS = {
    "a": ("increment rate", "1 / cycle"),
    "scale": ("decay of influence", "1 / spacing"),
    "alpha": ("exponent", "1"),
}


@paper_style()
def draw_sensitivity(dataset: xr.Dataset) -> Figure:
    """Retention factor of the first segment, increment rate, decay of influence and exponent against each parameter.

    Dots are points of the sweep; the other parameters vary, too. The line joins medians of groups of a twelfth of the
    points, or of the points at each value of a parameter with few values. The partial rank correlation is above each
    panel. Points that failed are left out. The figure is ours; it answers a reviewer of the RMAAT paper.

    Parameters
    ----------
    dataset
        As `distill.inverse.sweep_file.read_sweep` returns it.
    """
    names, quantities, correlations = varied(dataset), summary(dataset), rank_correlations(dataset)
    figure = Figure(figsize=(max(4.0, 1.2 + WIDTH * len(names)), 0.8 + HEIGHT * max(1, len(quantities))))
    panels = figure.subplots(max(1, len(quantities)), len(names), squeeze=False, sharex="col", sharey="row")
    for row, (label, values) in enumerate(quantities.items()):
        for column, name in enumerate(names):
            axes = panels[row, column]
            _draw_panel(axes, dataset[name].values, values, COLOURS[row])
            if name in correlations and np.isfinite(correlations[name][label]):
                axes.set_title(f"{correlations[name][label]:+.2f}", fontsize="small", loc="right")
        words, units = WORDS.get(label, (f"${label}$".replace("RF", r"\mathrm{RF}"), "1"))
        panels[row, 0].set_ylabel(f"{words}\n({units})" if units != "1" else words)
    for column, name in enumerate(names):
        panels[-1, column].set_xlabel(
            axis_label(name.replace("_", " "), units=units_of(dataset[name])), fontsize="small"
        )
    failed = int((dataset["message"] != "").sum())
    figure.suptitle(f"{dataset.sizes['point']} simulations" + (f", {failed} of them incomplete" if failed else ""))
    return figure


def _draw_panel(axes: Axes, parameter: np.ndarray, values: np.ndarray, colour: str) -> None:
    sound = np.isfinite(values)
    place, words = _places(parameter)
    # As pixels, because an SVG with thousands of dots is slow to open.
    axes.plot(place[sound], values[sound], ".", markersize=2, alpha=0.35, color=colour, rasterized=True)
    axes.plot(*_medians(place[sound], values[sound]), color="black", linewidth=1)
    if not varies(values) and sound.any():
        # The scale of rounding would draw noise as an effect.
        middle = float(np.median(values[sound]))
        axes.set_ylim(middle - (abs(middle) or 1), middle + (abs(middle) or 1))
    axes.axhline(0, color=REFERENCE, linewidth=0.5) if values[sound].min(initial=0) < 0 else None
    if words:
        axes.set_xticks(range(len(words)), words)
    elif parameter.min() > 0 and parameter.max() > WIDE_RATIO * parameter.min():
        axes.set_xscale("log")
        label_one_two_five(axes.xaxis)


def _places(parameter: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Positions (point,) along the axis, and the tick labels of a parameter that is not a number."""
    if parameter.dtype.kind in "fi":
        return parameter, []
    words, places = np.unique(parameter.astype(str), return_inverse=True)
    return places, [str(word) for word in words]


def _medians(place: np.ndarray, values: np.ndarray) -> tuple[list[float], list[float]]:
    """Medians of `place` and of `values`, both (point,), over groups of points along the axis."""
    distinct = np.unique(place)
    # Groups of equal size would mix the values of a parameter that has few.
    if len(distinct) <= GROUPS:
        groups = [place == value for value in distinct]
    else:
        count = max(1, min(GROUPS, len(place) // FEWEST_IN_GROUP))
        # A stable order, so that equal sweeps give equal figures.
        groups = np.array_split(np.argsort(place, kind="stable"), count)
    return [float(np.median(place[group])) for group in groups], [float(np.median(values[group])) for group in groups]
