"""The coupling put in and the measured influence against distance."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill import Tables
from figures.style import REFERENCE, SHORT_TERM, axis_label, label_one_two_five, paper_style, units_of

WIDE_RATIO = 1000
"""If the ends of a logarithmic axis have at least this ratio, only powers of ten are labelled."""


@paper_style()
def draw_coupling(tables: Tables) -> Figure:
    """Strength between astrocytic processes against the distance of their synapses, with the fitted decay.

    Squares are the coupling T put in. Circles are the measured influence: the response of the short-term process at one
    synapse to a small perturbation at another, divided by it. Both are dimensionless means over the pairs at each
    distance, in synapse spacings. The line is amplitude * exp(-scale * distance), fitted to the influence; its scale
    becomes the decay of attention's relative position matrix. The RMAAT paper states the dependence on distance; the
    figure is ours.

    Parameters
    ----------
    tables
        As `distill.read_tables` returns them.

    Raises
    ------
    TableError
        The tables lack the coupling or the influence.
    """
    for part in ("coupling", "influence"):
        tables.require(part)
    data = tables.dataset
    distance, coupling, influence = (data[name].values for name in ("distance", "coupling", "influence"))
    fine = np.linspace(distance[0], distance[-1], 200)
    figure = Figure(figsize=(5.5, 4.2))
    axes = figure.add_subplot()
    axes.plot(distance, influence, "o", color=SHORT_TERM, label="influence measured")
    axes.plot(fine, tables.fitted_influence(fine), color=SHORT_TERM, linewidth=1, label=_fit_label(data))
    put_in = f"coupling $T$ put in, scale = {float(data['coupling_scale']):.3f}"
    axes.plot(distance, coupling, "s--", color=REFERENCE, linewidth=1, label=put_in)
    axes.set_xlabel(axis_label("distance of two synapses", "d", units_of(data["distance"])))
    axes.set_ylabel(axis_label("strength", units=units_of(data["influence"])))
    # A logarithmic axis would drop strengths of 0.
    if min(coupling.min(), influence.min()) > 0:
        _make_logarithmic(axes)
    axes.set_title("Spatial coupling of the short-term process")
    figure.legend(loc="outside lower center")
    return figure


def _make_logarithmic(axes: Axes) -> None:
    axes.set_yscale("log")
    # Within three decades labels at powers of ten alone would be too few to read a value.
    low, high = axes.get_ylim()
    if high < WIDE_RATIO * low:
        label_one_two_five(axes.yaxis)


def _fit_label(data: xr.Dataset) -> str:
    amplitude, scale, error = (float(data[f"influence_{name}"]) for name in ("amplitude", "scale", "scale_error"))
    unit = units_of(data["influence_scale"])
    return rf"fit ${amplitude:.3f}\,\exp(-\mathrm{{scale}}\cdot d)$, scale = {scale:.3f} ± {error:.3f} ({unit})"
