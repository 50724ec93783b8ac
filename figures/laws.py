"""Long-term curves of several models and the geometric law, which has the rate a as its only number."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill import Tables
from figures.style import MARKERS, MODELS, REFERENCE, axis_label, paper_style


@paper_style()
def draw_laws(tables: Mapping[str, Tables]) -> Figure:
    """The long-term curve of each model against a n, and its departure from the geometric law.

    a is the fitted rate and S the end of that law. The upper panel shows p^l(n) / S: models that follow the law share
    one line. The lower panel shows the difference between curve and law, as a share of the curve's end. The figure is
    ours.

    Parameters
    ----------
    tables
        Tables of each model, by the name that the legend shows; at most seven.
    """
    figure = Figure(figsize=(5.2, 5))
    curves, departures = figure.subplots(2, sharex=True, height_ratios=(3, 2))
    for (name, each), colour, marker in zip(tables.items(), MODELS, MARKERS, strict=False):
        _draw_model((curves, departures), name, each, colour, marker)
    # After the models, whose points set the limit of the axis.
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
    """The tables that `draw_laws` can draw together; none if they are fewer than two or more than it has colours.

    Of several tables made from the same traces only the first is kept.
    """
    names: dict[str, str] = {}
    for name, each in tables.items():
        names.setdefault(each.dataset.attrs["traces_sha256"], name)
    return {name: tables[name] for name in names.values()} if 2 <= len(names) <= len(MODELS) else {}


def _draw_model(panels: tuple[Axes, Axes], name: str, tables: Tables, colour: str, marker: str) -> None:
    growth, (law, end) = tables.dataset["long_term_curve"].values, tables.geometric_curve()
    rate, residual = tables.increment_rate, float(tables.dataset["increment_residual"])
    elapsed = rate * np.arange(1, len(growth) + 1)
    # Exact models have a residual of rounding, which needs its exponent.
    share = f"{residual:.1%}" if residual >= 5e-4 else f"{residual:.0e}"
    label = f"{name}: $a$ = {rate:.3g}, off by {share}"
    curves, departures = panels
    curves.plot(elapsed, growth / end, linestyle="none", marker=marker, markersize=3.5, color=colour, label=label)
    departed = 100 * (growth - law) / growth[-1]
    departures.plot(elapsed, departed, linewidth=0.8, marker=marker, markersize=3, color=colour)
