"""Where neurons and synapses are. A synapse lies midway between its two neurons.

Lengths are in units of the spacing of neighbouring neurons in the line layout. The papers say only that coupling
depends on distance; these layouts are ours.
"""

from dataclasses import dataclass

import numpy as np

from astro_sim.arrays import Array
from astro_sim.parameters import NetworkParameters


@dataclass(frozen=True, eq=False)
class Geometry:
    """Positions and distances of synapses.

    Attributes
    ----------
    position : (post, pre, space)
        Midpoint of each synapse; `space` is x, y.
    distance : (post, pre, source_post, source_pre)
        Distance between every two synapses.
    """

    position: Array
    distance: Array


def build_geometry(network: NetworkParameters) -> Geometry:
    """Place the synapses of `network`.

    `line` and `random` put presynaptic neurons at x = 0 and postsynaptic ones at x = 1, at heights 0, 1, 2 ... or at
    random heights in the same range. `equal` prescribes a distance of 1 between any two synapses; no plane holds more
    than three such points, so its positions are the line's, for drawing only.
    """
    heights = _random_heights if network.layout == "random" else _line_heights
    pre, post = heights(network)
    position = np.empty((post.size, pre.size, 2))
    position[..., 0] = 0.5
    position[..., 1] = (post[:, None] + pre[None, :]) / 2
    if network.layout == "equal":
        distance = np.ones((position[..., 0].size,) * 2)
        np.fill_diagonal(distance, 0)
        return Geometry(position, distance.reshape(position.shape[:2] * 2))
    return Geometry(position, np.linalg.norm(position[:, :, None, None] - position[None, None], axis=-1))


def _line_heights(network: NetworkParameters) -> tuple[Array, Array]:
    return np.arange(network.presynaptic_neurons, dtype=float), np.arange(network.postsynaptic_neurons, dtype=float)


def _random_heights(network: NetworkParameters) -> tuple[Array, Array]:
    generator = np.random.default_rng(network.seed)
    pre, post = _line_heights(network)
    return generator.uniform(0, pre[-1], pre.size), generator.uniform(0, post[-1], post.size)
