"""Every retention variant of a tables file, side by side."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill import Tables
from figures.lengths import default_lengths, length_colours
from figures.style import axis_label, paper_style, units_of

COLUMNS = 3
"""panels side by side"""


@paper_style()
def draw_variants(tables: Tables, lengths: Sequence[int] | None = None) -> Figure:
    """Retention factor of each segment for several total lengths T, one panel for each variant in `tables`.

    RF(t, T), dimensionless, against the segment t, on shared axes. `distill.retention` defines the variants.
    `draw_retention` shows which factors of `increment` are simulated and which are fitted.

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
    columns = min(COLUMNS, len(tables.variants))
    rows = -(-len(tables.variants) // columns)
    figure = Figure(figsize=(7.0, 0.8 + 1.7 * rows))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels = grid.ravel()
    for axes, variant in zip(panels, tables.variants, strict=False):
        _draw_variant(axes, tables, variant, lengths)
    for axes in panels[len(tables.variants) :]:
        axes.remove()
    # One label per column, because a label of the whole figure would overlap the legend.
    for axes in panels[: len(tables.variants)][-columns:]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(axis_label("segment", "t", units_of(tables.dataset["segment"])))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(lengths))
    figure.supylabel(
        axis_label("retention factor", r"\mathrm{RF}(t, T)", units_of(tables.dataset["retention_weight"])),
        fontsize="medium",
    )
    figure.suptitle("Share of the memory kept after segment $t$ of $T$, by variant")
    return figure


def _draw_variant(axes: Axes, tables: Tables, variant: str, lengths: Sequence[int]) -> None:
    axes.set_title(variant, fontsize="medium")
    # Factors reach 1 in some variants; the margin keeps their markers whole.
    axes.set_ylim(0, 1.05)
    for length, colour in zip(lengths, length_colours(len(lengths)), strict=True):
        factor = tables.retention(length, variant)
        segment = np.arange(1, length + 1)
        axes.plot(segment, factor, ".-", color=colour, linewidth=0.8, markersize=3, label=f"$T$ = {length}")
