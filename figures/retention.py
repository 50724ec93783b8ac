"""Retention factors of the segments: figure 4 of the RMAAT paper."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from distill import Tables
from figures.style import LONG_TERM, REFERENCE, axis_label, paper_style, units_of

MOST_SEGMENT_TICKS = 20
MARKERS = "osD^v<>Phd"
# From light to dark in the colour of the long-term process, as the retention factor is a share of its growth.
LENGTHS = LinearSegmentedColormap.from_list("lengths", ["#E3B0CE", LONG_TERM, "#3D1230"])

SATURATED = 0.01
"""Relative change of RF(1, T) below which longer sequences would be drawn on top of one another."""


@paper_style()
def draw_retention(tables: Tables, lengths: Sequence[int] | None = None) -> Figure:
    """Retention factor of each segment for several total lengths T, as the paper's figure 4 (arXiv 2601.00426).

    RF(t, T), variant `increment`, dimensionless, against the segment t. Filled markers rest on a simulated increment of
    the long-term process, hollow ones on the fitted law that continues it; the thin lines behind are the closed form of
    that law, RF = exp(-a (t - 1)) (1 - exp(-a)) / (1 - exp(-a T)).

    Parameters
    ----------
    tables
        As `distill.read_tables` returns them.
    lengths
        Values of T to draw; without them, doublings from 2 until the curve no longer changes or the tables end.

    Raises
    ------
    TableError
        The tables do not serve one of the lengths, or lack the variant.
    """
    lengths = sorted(lengths or default_lengths(tables))
    rate = float(tables.dataset["increment_rate"])
    figure = Figure()
    axes = figure.add_subplot()
    for index, (length, colour) in enumerate(zip(lengths, length_colours(len(lengths)), strict=True)):
        fine = np.linspace(1, length, 20 * length)
        axes.plot(fine, closed_form(fine, length, rate), color=REFERENCE, linewidth=0.8, zorder=1)
        _draw_length(axes, tables, length, colour, MARKERS[index % len(MARKERS)])
    _set_axes(axes, tables, lengths[-1])
    _add_legend(axes, rate)
    return figure


def default_lengths(tables: Tables) -> list[int]:
    """2, 4, 8, ... up to the first whose curve is that of the longest sequence, which ends the list where none is."""
    doublings = [2**power for power in range(1, tables.longest.bit_length()) if 2**power < tables.longest]
    final = tables.retention(tables.longest)[0]
    lengths = []
    for length in [*doublings, tables.longest]:
        lengths.append(length)
        if tables.retention(length)[0] <= (1 + SATURATED) * final:
            break
    return lengths


def length_colours(count: int) -> list[str]:
    """Colours for `count` values of T, from the shortest to the longest."""
    return [to_hex(LENGTHS(index / max(count - 1, 1))) for index in range(count)]


def closed_form(segment: NDArray, length: int, rate: float) -> NDArray:
    """RF at `segment` (1 to `length`, not necessarily whole) where increments fall by exp(-`rate`) a cycle."""
    return np.exp(-rate * (segment - 1)) * np.expm1(-rate) / np.expm1(-rate * length)


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
                # Late factors are close to 0, where the axis would cut their markers.
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
    handles += [
        Line2D([], [], linestyle="none", marker="o", color=REFERENCE, markerfacecolor=face, label=f"increment {words}")
        for words, face in (("simulated", REFERENCE), ("extrapolated", "white"))
    ]
    handles.append(Line2D([], [], color=REFERENCE, linewidth=0.8, label=f"closed form, $a$ = {rate:.3g} (1 / cycle)"))
    axes.legend(handles=handles, loc="upper right")
