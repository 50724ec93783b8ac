"""How the measured influence departs from the coupling put in as the coupling grows."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from astro_sim import SimulationParameters
from distill import Tables
from distill.linear_response import critical_strength, is_predictable, predicted_scales
from figures.style import REFERENCE, SHORT_TERM, axis_label, paper_style
from rmaat.base.records import ParameterError


@paper_style()
def draw_linear_response(tables: Sequence[Tables]) -> Figure:
    """Scale of the measured influence, as a share of the scale put in, against the strength of the coupling.

    Points are measured, with the 95 % interval of the fit. The line is the same fit to the influence that linear
    response predicts (`distill.linear_response`). At weak coupling both reach 1: the measured scale is the one put in.
    Rest is unstable beyond the dotted line. The figure is ours.

    Parameters
    ----------
    tables
        Tables of the rate model with at most 256 synapses that differ in `coupling_strength` alone.
    """
    runs = sorted(((_parameters(each), each) for each in tables), key=lambda run: run[0].network.coupling_strength)
    parameters = runs[0][0]
    strength = np.array([run.network.coupling_strength for run, _ in runs])
    scale, low, high = (
        np.array(values) / parameters.network.coupling_scale
        for values in zip(*(_scale(each) for _, each in runs), strict=True)
    )
    figure = Figure(figsize=(5.5, 4))
    axes = figure.add_subplot()
    fine = np.geomspace(strength[0], strength[-1], 60)
    # The tables hold no coupling between single pairs, so the prediction rebuilds the network from the parameters.
    axes.plot(fine, predicted_scales(parameters, fine), color=REFERENCE, linewidth=1, label="linear response")
    axes.errorbar(
        strength, scale, yerr=(scale - low, high - scale), fmt="o", color=SHORT_TERM, capsize=2, label="measured"
    )
    axes.axvline(critical_strength(parameters), color=REFERENCE, linestyle=":", linewidth=1, label="rest unstable")
    axes.axhline(1, color=REFERENCE, linewidth=0.5)
    axes.set_xscale("log")
    axes.set_xlabel(axis_label("coupling strength", r"\varepsilon"))
    axes.set_ylabel(axis_label("scale of the influence / scale put in"))
    axes.set_ylim(0, 1.1)
    axes.set_title("From the coupling put in to the measured influence")
    axes.legend(loc="lower left")
    return figure


def comparable(tables: Mapping[str, Tables]) -> dict[str, list[Tables]]:
    """Groups of `tables` that `draw_linear_response` can draw together, by the name of the first of each group.

    A group has one table for each coupling strength, and at least two.
    """
    groups: dict[str, dict[float, str]] = {}
    for name, each in tables.items():
        if "influence" in each.left_out:
            continue
        try:
            parameters = _parameters(each)
        except ParameterError:
            # Tables of the biophysical model.
            continue
        if is_predictable(parameters):
            # References name the source of a value and change no number.
            others = parameters.override({"coupling_strength": 0.0}).to_dict() | {"references": {}}
            groups.setdefault(json.dumps(others), {}).setdefault(parameters.network.coupling_strength, name)
    names = [list(group.values()) for group in groups.values() if len(group) > 1]
    return {group[0]: [tables[name] for name in group] for group in names}


def _parameters(tables: Tables) -> SimulationParameters:
    """The parameters of the simulation; raises `ParameterError` for those of another model."""
    return SimulationParameters.from_dict(json.loads(tables.dataset.attrs["parameters"]))


def _scale(tables: Tables) -> tuple[float, float, float]:
    """The measured scale and both ends of its interval, per synapse spacing."""
    low, high = tables.dataset["influence_scale_interval"].values
    return float(tables.dataset["influence_scale"]), float(low), float(high)
