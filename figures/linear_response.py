"""How the measured influence departs from the coupling put in as the coupling grows."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from astro_sim import SimulationParameters
from astro_sim.network.coupling import LARGEST_DENSE, as_matrix, dense_coupling
from astro_sim.network.geometry import build_geometry
from distill import Tables
from distill.coupling import fit_kernel, linear_response
from figures.style import REFERENCE, SHORT_TERM, axis_label, paper_style
from rmaat.base.records import ParameterError


@paper_style()
def draw_linear_response(tables: Sequence[Tables]) -> Figure:
    """Scale of the measured influence, as a share of the scale put in, against the strength of the coupling.

    Points are measured, with the 95 % interval of the fit; the line is the same fit to the influence that linear
    response gives, (restoring - T)^-1 with restoring = gamma^s - kappa_s c_ps / beta. Towards weak coupling both reach
    1: what is measured is what was put in. The dotted line is where rest ceases to be stable. The figure is ours.

    Parameters
    ----------
    tables
        Of the rate model, at most 256 synapses, which differ in `coupling_strength` alone.
    """
    runs = sorted(
        ((SimulationParameters.from_dict(json.loads(each.dataset.attrs["parameters"])), each) for each in tables),
        key=lambda run: run[0].network.coupling_strength,
    )
    parameters = runs[0][0]
    strength = np.array([run.network.coupling_strength for run, _ in runs])
    scale, low, high = (
        np.array(values) / parameters.network.coupling_scale
        for values in zip(*(_scale(each) for _, each in runs), strict=True)
    )
    figure = Figure(figsize=(5.5, 4))
    axes = figure.add_subplot()
    fine = np.geomspace(strength[0], strength[-1], 60)
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
    """Those of `tables` that `draw_linear_response` takes together, one for each strength, by the name of the first."""
    groups: dict[str, dict[float, str]] = {}
    for name, each in tables.items():
        try:
            parameters = SimulationParameters.from_dict(json.loads(each.dataset.attrs["parameters"]))
        except ParameterError:
            # Of another model.
            continue
        network = parameters.network
        dense = network.presynaptic_neurons * network.postsynaptic_neurons <= LARGEST_DENSE
        if dense and network.coupling_given_by == "strength" and network.coupling_strength > 0:
            others = parameters.override({"coupling_strength": 0.0}).to_dict() | {"references": {}}
            groups.setdefault(json.dumps(others), {}).setdefault(network.coupling_strength, name)
    names = [list(group.values()) for group in groups.values() if len(group) > 1]
    return {group[0]: [tables[name] for name in group] for group in names}


def predicted_scales(parameters: SimulationParameters, strengths: NDArray) -> NDArray:
    """The scale fitted to the influence of linear response, as a share of the scale put in, at each of `strengths`."""
    unit, distance = _unit_coupling(parameters)
    once = np.triu_indices(len(unit), 1)
    scales = [
        fit_kernel(distance[once], linear_response(strength * unit, restoring(parameters))[once]).scale
        for strength in strengths
    ]
    return np.array(scales) / parameters.network.coupling_scale


def critical_strength(parameters: SimulationParameters) -> float:
    """The coupling strength at which the pattern that it amplifies most no longer returns to rest."""
    unit, _ = _unit_coupling(parameters)
    return float(restoring(parameters) / np.linalg.eigvalsh(unit)[-1])


def restoring(parameters: SimulationParameters) -> float:
    """gamma^s - kappa_s c_ps / beta: how strongly the short-term process returns to rest without coupling."""
    model = parameters.model
    return model.short_term_decay - model.short_term_gain * model.short_term_feedback / model.synapse_decay


def _unit_coupling(parameters: SimulationParameters) -> tuple[NDArray, NDArray]:
    """T at strength 1 and the distances, both (synapse, synapse)."""
    geometry = build_geometry(parameters.network)
    unit = as_matrix(dense_coupling(geometry, 1.0, parameters.network.coupling_scale).dense())
    return unit, np.stack([geometry.distance_from(source).ravel() for source in np.ndindex(*geometry.shape)])


def _scale(tables: Tables) -> tuple[float, float, float]:
    """The measured scale and its interval."""
    low, high = tables.dataset["influence_scale_interval"].values
    return float(tables.dataset["influence_scale"]), float(low), float(high)
