"""Accuracy against the astrocyte: against the rate of its increments, and against the reach of its coupling."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.errors import FigureError
from figures.style import (
    FACILITATION,
    HELD_OUT,
    LONG_TERM,
    PRESYNAPTIC,
    SHORT_TERM,
    axis_label,
    label_one_two_five,
    paper_style,
)
from model.studies.astrocytes import Point
from model.tasks.library import TASKS

_BANDS = (("retention_constant", PRESYNAPTIC), ("retention_none", FACILITATION), ("retention_random", SHORT_TERM))
_AXES = (("rate", "rate", "a", "1 / cycle"), ("reach", "reach of influence", "", "tokens"))
WIDTH, HEIGHT = 2.1, 1.9
"""Size of a panel in inches."""


@paper_style()
def draw_astrocytes(points: Sequence[Point], title: str) -> Figure:
    """Test accuracy in % of each astrocyte, one column per task; the figure is ours.

    The upper row has the rate a of the increments as its axis, the lower row the reach of the measured influence. A
    point is the mean over seeds and its bar the standard deviation. Filled points differ from the default astrocyte in
    one parameter of that axis, hollow ones in others. Bands are the controls: mean and standard deviation.

    Raises
    ------
    FigureError
        There is no astrocyte among the `points`.
    """
    astrocytes = [point for point in points if point.kind == "astrocyte"]
    if not astrocytes:
        raise FigureError("no astrocyte of the study is done, so there is nothing to draw; run it first")
    tasks = list(dict.fromkeys(task for point in astrocytes for task in point.accuracies))
    figure = Figure(figsize=(0.8 + WIDTH * len(tasks), 1.1 + HEIGHT * len(_AXES)))
    grid = figure.subplots(len(_AXES), len(tasks), squeeze=False, sharey="col")
    for row, (name, words, symbol, units) in enumerate(_AXES):
        for axes, task in zip(grid[row], tasks, strict=True):
            _draw_bands(axes, [point for point in points if point.kind == "control"], task)
            _draw_points(axes, astrocytes, task, name)
            axes.set_xscale("log")
            label_one_two_five(axes.xaxis)
            axes.set_xlabel(axis_label(words, symbol, units))
    for axes, task in zip(grid[0], tasks, strict=True):
        axes.set_title(TASKS[task].title)
    for axes in grid[:, 0]:
        axes.set_ylabel(axis_label("test accuracy", units="%"))
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles), fontsize=7)
    figure.suptitle(title)
    return figure


def _draw_bands(axes: Axes, controls: Sequence[Point], task: str) -> None:
    colours = dict(_BANDS)
    for point in controls:
        if task not in point.accuracies:
            continue
        middle, half, colour = point.accuracy(task), point.spread(task), colours[point.name]
        axes.axhspan(middle - half, middle + half, color=colour, alpha=0.18, linewidth=0)
        axes.axhline(middle, color=colour, linewidth=0.9, label=f"control, {point.title}")


def _draw_points(axes: Axes, points: Sequence[Point], task: str, axis: str) -> None:
    known = [point for point in points if task in point.accuracies]
    along = {point.name for point in known if point.name == "default" or point.name.startswith(_PARAMETERS[axis])}
    for own, face, label in ((True, LONG_TERM, "one parameter of this axis"), (False, "white", "other astrocytes")):
        chosen = [point for point in known if (point.name in along) == own]
        axes.errorbar(
            [getattr(point, axis) for point in chosen],
            [point.accuracy(task) for point in chosen],
            yerr=[point.spread(task) for point in chosen],
            fmt="o",
            color=LONG_TERM if own else HELD_OUT,
            markerfacecolor=face,
            markersize=4,
            linewidth=0.9,
            capsize=2,
            label=label,
            zorder=3,
        )


_PARAMETERS = {"rate": ("long_term_time_constant", "cycle_duration"), "reach": ("coupling_scale",)}
"""Names of the parameters that move an astrocyte along each axis."""
