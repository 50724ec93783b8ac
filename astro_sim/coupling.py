"""The coupling between the astrocytic processes at any two synapses, as one dense tensor.

    T_ijkl = ε exp(-scale · distance(ij, kl)),   T_ijij = 0

That T depends on distance is the RMAAT paper's; the exponential and the missing self-coupling are ours.
"""

import numpy as np

from astro_sim.arrays import Array
from rmaat.records import ParameterError

# Tensor and influence hold synapses² numbers and the influence costs synapses³: 0.5 MB and a second here.
LARGEST_DENSE = 256


def build_coupling(distance: Array, strength: float, scale: float) -> Array:
    """The tensor T of shape (post, pre, source_post, source_pre) for distances of the same shape.

    Raises
    ------
    ParameterError
        More synapses than a dense tensor is fit for.
    """
    synapses = distance.shape[0] * distance.shape[1]
    if synapses > LARGEST_DENSE:
        raise ParameterError(
            f"{distance.shape[1]} x {distance.shape[0]} neurons have {synapses} synapses, more than the "
            f"{LARGEST_DENSE} whose coupling is kept as a dense tensor; choose fewer neurons"
        )
    matrix = strength * np.exp(-scale * distance.reshape(synapses, synapses))
    np.fill_diagonal(matrix, 0)
    return matrix.reshape(distance.shape)


def as_matrix(tensor: Array) -> Array:
    """A (post, pre, source_post, source_pre) tensor as a matrix that acts on raveled (post, pre) arrays."""
    synapses = tensor.shape[0] * tensor.shape[1]
    return tensor.reshape(synapses, synapses)


def apply_coupling(tensor: Array, signal: Array) -> Array:
    """`sum_kl T_ijkl signal_kl` for a `signal` of shape (post, pre)."""
    return (as_matrix(tensor) @ signal.ravel()).reshape(signal.shape)


def spectral_radius(tensor: Array) -> float:
    """The largest absolute eigenvalue of T: how strongly it amplifies the pattern that it amplifies most."""
    return float(np.abs(np.linalg.eigvals(as_matrix(tensor))).max())
