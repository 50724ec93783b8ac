"""From the astrocyte to the model and back: distilled, learned and fitted retention factors."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill import Tables
from distill.learned import learned_from
from figures.errors import FigureError
from figures.style import HELD_OUT, LONG_TERM, REFERENCE, SHORT_TERM, axis_label, paper_style, units_of


@paper_style()
def draw_loop(learned: Sequence[Tables], fitted: Tables) -> Figure:
    """The long-term curves and the retention factors of an astrocyte, of what a model learned, and of the way back.

    Left: the long-term process at the ends of cycles, as a share of its last value at the same cycle: simulated for the
    tables that the model started from, and simulated with the fitted parameters. Right: RF(t, T) for the longest T of
    the learned tables. Bars are standard deviations over several learned tables. The figure is ours.

    Parameters
    ----------
    learned
        Tables with learned factors, one for each training.
    fitted
        Tables of the simulation with the fitted parameters.

    Raises
    ------
    FigureError
        `learned` is empty.
    TableError
        Tables lack learned factors, or serve different numbers of segments.
    """
    if not learned:
        raise FigureError("there are no learned tables to draw; give at least one")
    figure = Figure(figsize=(7.0, 3.1))
    left, right = figure.subplots(1, 2)
    _draw_curves(left, learned[0], fitted)
    _draw_factors(right, learned, fitted)
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    figure.suptitle("From the astrocyte to the model and back")
    return figure


def _draw_curves(axes: Axes, distilled: Tables, fitted: Tables) -> None:
    cycles = min(len(tables.dataset["long_term_curve"]) for tables in (distilled, fitted))
    place = np.arange(cycles + 1)
    for tables, colour, marker in ((distilled, REFERENCE, "s"), (fitted, SHORT_TERM, "x")):
        curve = np.append(0.0, tables.dataset["long_term_curve"].values[:cycles])
        axes.plot(place, curve / curve[-1], f"{marker}-", color=colour, linewidth=1.0)
    axes.set_xlabel(axis_label("cycle"))
    axes.set_ylabel(axis_label(f"long-term process / cycle {cycles}'s"))
    axes.set_ylim(bottom=0)


def _draw_factors(axes: Axes, learned: Sequence[Tables], fitted: Tables) -> None:
    segments = learned[0].longest
    segment = np.arange(1, segments + 1)
    factors = np.stack([learned_from(tables, segments) for tables in learned])
    spread = factors.std(axis=0, ddof=1) if len(learned) > 1 else None
    axes.plot(segment, learned[0].retention(segments), "s-", color=REFERENCE, linewidth=1.0, label="distilled")
    axes.errorbar(
        segment, factors.mean(axis=0), yerr=spread, fmt="o-", color=LONG_TERM, linewidth=1.0, capsize=2, label="learned"
    )
    axes.plot(segment, fitted.retention(segments), "x--", color=SHORT_TERM, linewidth=1.0, label="fitted simulation")
    axes.axhline(1 / segments, color=HELD_OUT, linewidth=0.6, linestyle=":", label="equal shares, $1 / T$")
    axes.set_xticks(segment)
    axes.set_xlabel(axis_label("segment", "t", units_of(fitted.dataset["segment"])))
    axes.set_ylabel(axis_label("retention factor", rf"\mathrm{{RF}}(t, {segments})"))
    axes.set_ylim(bottom=0)
