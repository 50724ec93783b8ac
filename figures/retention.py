"""Retention factors of the segments: figure 4 of the RMAAT paper."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from distill import Tables
from figures.lengths import default_lengths, length_colours
from figures.style import MARKERS, REFERENCE, axis_label, paper_style, units_of

MOST_SEGMENT_TICKS = 20
"""With more segments than this Matplotlib chooses the ticks, and markers are smaller."""


@paper_style()
def draw_retention(tables: Tables, lengths: Sequence[int] | None = None) -> Figure:
    """Retention factor of each segment for several total lengths T, as the paper's figure 4 (arXiv 2601.00426).

    RF(t, T), variant `increment`, dimensionless, against the segment t. Filled markers use a simulated increment
    of the long-term process, hollow ones an increment of the fitted law. The thin lines behind are the closed form of
    the geometric law, RF = exp(-a (t - 1)) (1 - exp(-a)) / (1 - exp(-a T)).

    Parameters
    ----------
    tables
        As `distill.read_tables` returns them.
    lengths
        Values of T to draw; by default those of `figures.lengths.default_lengths`.

    Raises
    ------
    TableError
        The tables do not serve one of the lengths.
    """
    lengths = sorted(lengths or default_lengths(tables))
    figure = Figure()
    axes = figure.add_subplot()
    for index, (length, colour) in enumerate(zip(lengths, length_colours(len(lengths)), strict=True)):
        # The closed form has values between segments too, and drawn there it is a smooth line.
        fine = np.linspace(1, length, 20 * length)
        axes.plot(fine, tables.geometric_retention(fine, length), color=REFERENCE, linewidth=0.8, zorder=1)
        _draw_length(axes, tables, length, colour, MARKERS[index % len(MARKERS)])
    _set_axes(axes, tables, lengths[-1])
    _add_legend(axes, tables.increment_rate)
    return figure


def _draw_length(axes: Axes, tables: Tables, length: int, colour: str, marker: str) -> None:
    segment, factor = np.arange(1, length + 1), tables.retention(length)
    simulated = tables.dataset["increment_simulated"].values[:length].astype(bool)
    size = 5 if length <= MOST_SEGMENT_TICKS else 3
    for chosen, face, label in ((simulated, colour, f"$T$ = {length}"), (~simulated, "white", None)):
        if chosen.any():
            axes.plot(
                segment[chosen],
                factor[chosen],
                linestyle="none",
                marker=marker,
                markersize=size,
                markeredgewidth=size / 5,
                color=colour,
                markerfacecolor=face,
                # The axis would cut the markers of late factors, which are close to 0.
                clip_on=False,
                label=label,
            )


def _set_axes(axes: Axes, tables: Tables, longest: int) -> None:
    axes.set_xlabel(axis_label("segment", "t", units_of(tables.dataset["segment"])))
    axes.set_ylabel(axis_label("retention factor", r"\mathrm{RF}(t, T)", units_of(tables.dataset["retention_weight"])))
    axes.set_ylim(bottom=0)
    if longest <= MOST_SEGMENT_TICKS:
        axes.set_xticks(np.arange(1, longest + 1))
    else:
        axes.set_xlim(left=0)
    axes.set_title("Share of the memory kept after segment $t$ of $T$")


def _add_legend(axes: Axes, rate: float) -> None:
    handles, _ = axes.get_legend_handles_labels()
    # Filled and hollow mean the same for every T: explain them once, in a colour that no T has.
    handles += [
        Line2D([], [], linestyle="none", marker="o", color=REFERENCE, markerfacecolor=face, label=f"increment {words}")
        for words, face in (("simulated", REFERENCE), ("extrapolated", "white"))
    ]
    handles.append(Line2D([], [], color=REFERENCE, linewidth=0.8, label=f"closed form, $a$ = {rate:.3g} (1 / cycle)"))
    axes.legend(handles=handles, loc="upper right")
