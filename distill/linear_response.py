"""Linear response: the influence between synapses that theory predicts for weak signals, from the parameters alone.

It shows how far the measured influence departs from the coupling put in, because influence also travels over third
synapses. It needs slope 1 at rest for tanh(p^s) and for the drive of p^s by s, tanh or linear; both have it. The other
nonlinearities do not matter: the product of activities has slope 0 at rest, also with rectified_tanh, and the drive of
p^l, tanh or hill, counts only with `long_term_feedback`, which the theory leaves out. The derivation is ours.
"""

import numpy as np

from astro_sim.network.coupling import LARGEST_DENSE, as_matrix, dense_coupling
from astro_sim.network.geometry import build_geometry
from astro_sim.parameter_set import SimulationParameters
from distill.coupling import fit_kernel
from rmaat.base.arrays import Array


def linear_response(coupling: Array, restoring: float) -> Array:
    """The influence of weak signals, (synapse, synapse), dimensionless: (restoring - T)^-1.

    At rest a small perturbation d moves the short-term process p until `restoring p = T p + d`. The series
    1 / restoring + T / restoring^2 + T^2 / restoring^3 + ... counts the paths over third synapses.

    Parameters
    ----------
    coupling
        T as a matrix, (synapse, synapse), dimensionless.
    restoring
        gamma^s - kappa_s c_ps / beta; see `restoring_strength`.
    """
    return np.linalg.inv(restoring * np.eye(len(coupling)) - coupling)


def restoring_strength(parameters: SimulationParameters) -> float:
    """gamma^s - kappa_s c_ps / beta: how strongly the short-term process returns to rest without coupling."""
    model = parameters.model
    return model.short_term_decay - model.short_term_gain * model.short_term_feedback / model.synapse_decay


def predicted_scales(parameters: SimulationParameters, strengths: Array) -> Array:
    """Scale fitted to the influence of linear response, as a share of the scale put in, (strength,).

    Parameters
    ----------
    strengths
        Coupling strengths, (strength,), dimensionless; each must be below `critical_strength`.

    Raises
    ------
    DistillError
        As `distill.coupling.fit_kernel`.
    """
    unit, distance = _unit_coupling(parameters)
    # The influence is symmetric: count every pair once, as the distillation does.
    once = np.triu_indices(len(unit), 1)
    scales = [
        fit_kernel(distance[once], linear_response(strength * unit, restoring_strength(parameters))[once]).scale
        for strength in strengths
    ]
    return np.array(scales) / parameters.network.coupling_scale


def critical_strength(parameters: SimulationParameters) -> float:
    """The coupling strength from which on rest is unstable: coupling then amplifies one pattern without a limit."""
    unit, _ = _unit_coupling(parameters)
    return float(restoring_strength(parameters) / np.linalg.eigvalsh(unit)[-1])


def is_predictable(parameters: SimulationParameters) -> bool:
    """Whether the network is small enough for a dense matrix, and its coupling is above 0 and given by a strength."""
    network = parameters.network
    dense = network.presynaptic_neurons * network.postsynaptic_neurons <= LARGEST_DENSE
    return dense and network.coupling_given_by == "strength" and network.coupling_strength > 0


def _unit_coupling(parameters: SimulationParameters) -> tuple[Array, Array]:
    """T at strength 1, and the distances in synapse spacings, both (synapse, synapse)."""
    geometry = build_geometry(parameters.network)
    # T is proportional to its strength, so that one matrix serves all strengths.
    unit = as_matrix(dense_coupling(geometry, 1.0, parameters.network.coupling_scale).dense())
    return unit, np.stack([geometry.distance_from(source).ravel() for source in np.ndindex(*geometry.shape)])
