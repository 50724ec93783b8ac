"""How far simulated curves depart from one number: the long-term curves of several models on the geometric law."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from distill import TableError, Tables
from figures.retention import MARKERS
from figures.style import REFERENCE, axis_label, paper_style

COLOURS = ("#CC79A7", "#0072B2", "#009E73", "#D55E00", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette; a model has a colour and a marker."""


@paper_style()
def draw_laws(tables: Mapping[str, Tables]) -> Figure:
    """The long-term curve of each model against a n, and its departure from the geometric law.

    With a the rate fitted and S the end of that law, the upper panel shows p^l(n) / S, which one line holds for all
    models that are one number; the lower one shows by how much each is off, as a share of the curve's end. The figure
    is ours.

    Parameters
    ----------
    tables
        Of each model, by the name that the legend shows; at most seven.

    Raises
    ------
    TableError
        Tables without the curve, as those brought up from an earlier schema are.
    """
    figure = Figure(figsize=(5.2, 5))
    curves, departures = figure.subplots(2, sharex=True, height_ratios=(3, 2))
    for (name, each), colour, marker in zip(tables.items(), COLOURS, MARKERS, strict=False):
        _draw_model((curves, departures), name, each, colour, marker)
    fine = np.linspace(0, curves.get_xlim()[1], 200)
    curves.plot(fine, -np.expm1(-fine), color=REFERENCE, linewidth=0.8, zorder=1, label=r"$1 - \exp(-a\,n)$")
    curves.set_ylabel(axis_label("long-term process", r"p^l / S"))
    curves.set_ylim(bottom=0)
    curves.legend(loc="lower right")
    curves.set_title("Long-term curves and the geometric law")
    departures.axhline(0, color=REFERENCE, linewidth=0.8)
    departures.set_xlabel(axis_label("cycles times rate", r"a\,n"))
    departures.set_ylabel(axis_label("departure", units="% of end"))
    departures.set_xlim(left=0)
    return figure


def comparable(tables: Mapping[str, Tables]) -> dict[str, Tables]:
    """Those of `tables` that `draw_laws` takes, or none where there are fewer than two or more than it can tell apart.

    Tables brought up from an earlier schema have no curve; of several made from the same traces the first is taken.
    """
    names: dict[str, str] = {}
    for name, each in tables.items():
        if "long_term_curve" in each.dataset:
            names.setdefault(each.dataset.attrs["traces_sha256"], name)
    return {name: tables[name] for name in names.values()} if 2 <= len(names) <= len(COLOURS) else {}


def geometric_law(tables: Tables) -> tuple[NDArray, NDArray, float]:
    """Growth of the curve and of the geometric law at the ends of cycles, (cycle,), and the end S of that law.

    The tables hold the law's rate; its end follows, as the curve is linear in it.
    """
    if "long_term_curve" not in tables.dataset:
        raise TableError(f"{tables.origin}: without the long-term curve; make it again with: rmaat distill")
    growth = tables.dataset["long_term_curve"].values
    shape = -np.expm1(-float(tables.dataset["increment_rate"]) * np.arange(1, len(growth) + 1))
    end = float(shape @ growth / (shape @ shape))
    return growth, end * shape, end


def _draw_model(panels: tuple[Axes, Axes], name: str, tables: Tables, colour: str, marker: str) -> None:
    growth, law, end = geometric_law(tables)
    rate, residual = (float(tables.dataset[f"increment_{part}"]) for part in ("rate", "residual"))
    elapsed = rate * np.arange(1, len(growth) + 1)
    share = f"{residual:.1%}" if residual >= 5e-4 else f"{residual:.0e}"
    label = f"{name}: $a$ = {rate:.3g}, off by {share}"
    curves, departures = panels
    curves.plot(elapsed, growth / end, linestyle="none", marker=marker, markersize=3.5, color=colour, label=label)
    departed = 100 * (growth - law) / growth[-1]
    departures.plot(elapsed, departed, linewidth=0.8, marker=marker, markersize=3, color=colour)
