"""Where neurons and synapses are. A synapse lies midway between its two neurons, or on a grid of its own.

Lengths are in units of the spacing of neighbouring neurons in the line layout, and of neighbouring synapses in the grid
layout. The papers say only that coupling depends on distance; these layouts are ours.
"""

from dataclasses import dataclass

import numpy as np

from astro_sim.arrays import Array
from astro_sim.parameters import NetworkParameters


@dataclass(frozen=True, eq=False)
class Geometry:
    """Positions of synapses and how distance is measured between them.

    Attributes
    ----------
    position : (post, pre, space)
        Place of each synapse; `space` is x, y.
    measure : str
        "euclidean"; "city_block", the sum of the steps along the axes; or "equal", 1 between any two synapses.
    """

    position: Array
    measure: str = "euclidean"

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of postsynaptic and presynaptic neurons."""
        post, pre, _ = self.position.shape
        return post, pre

    def distance_from(self, source: tuple[int, int]) -> Array:
        """Distance (post, pre) of every synapse from the one at `source`."""
        if self.measure == "equal":
            distance = np.ones(self.shape)
            distance[source] = 0
            return distance
        return self.length(self.position - self.position[source])

    def length(self, offset: Array) -> Array:
        """Length (...) of the steps `offset` (..., space), by the measure, which must not be "equal"."""
        return np.linalg.norm(offset, ord=1 if self.measure == "city_block" else 2, axis=-1)


def build_geometry(network: NetworkParameters) -> Geometry:
    """Place the synapses of `network`.

    `line` and `random` put presynaptic neurons at x = 0 and postsynaptic ones at x = 1, at heights 0, 1, 2 ... or at
    random heights in the same range. `grid` puts the synapse of postsynaptic neuron i and presynaptic neuron j at
    x = j, y = i. `equal` prescribes a distance of 1 between any two synapses; no plane holds more than three such
    points, so its positions are the line's, for drawing only.
    """
    if network.layout == "grid":
        y, x = np.indices((network.postsynaptic_neurons, network.presynaptic_neurons), dtype=float)
        return Geometry(np.stack([x, y], axis=-1), network.distance_measure)
    heights = _random_heights if network.layout == "random" else _line_heights
    pre, post = heights(network)
    position = np.empty((post.size, pre.size, 2))
    position[..., 0] = 0.5
    position[..., 1] = (post[:, None] + pre[None, :]) / 2
    return Geometry(position, "equal" if network.layout == "equal" else network.distance_measure)


def _line_heights(network: NetworkParameters) -> tuple[Array, Array]:
    return np.arange(network.presynaptic_neurons, dtype=float), np.arange(network.postsynaptic_neurons, dtype=float)


def _random_heights(network: NetworkParameters) -> tuple[Array, Array]:
    generator = np.random.default_rng(network.seed)
    pre, post = _line_heights(network)
    return generator.uniform(0, pre[-1], pre.size), generator.uniform(0, post[-1], post.size)
