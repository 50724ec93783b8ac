"""Positions of the synapses, in spacings as `NetworkParameters` defines them.

In the layouts line and random a synapse is midway between its two neurons. The papers say only that the coupling
depends on distance; the layouts are ours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astro_sim.network.morphology import points_along_dendrites, read_points
from astro_sim.parameters import NetworkParameters
from rmaat.base.arrays import Array
from rmaat.base.records import ParameterError


@dataclass(frozen=True, eq=False)
class Geometry:
    """Positions of the synapses, and the measure of distance between them.

    Attributes
    ----------
    position : (post, pre, space)
        Of each synapse, in spacings. `space` is x and y, and also z if the layout's file has it.
    measure : str
        "euclidean", "city_block" (the sum of the steps along the axes) or "equal" (1 between any two synapses).
    """

    position: Array
    measure: str = "euclidean"

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of postsynaptic and presynaptic neurons."""
        post, pre, _ = self.position.shape
        return post, pre

    def distance_from(self, source: tuple[int, int]) -> Array:
        """Distance (post, pre), in spacings, of every synapse from the one at `source`."""
        if self.measure == "equal":
            distance = np.ones(self.shape)
            distance[source] = 0
            return distance
        return self.length(self.position - self.position[source])

    def length(self, offset: Array) -> Array:
        """Length (...) of `offset` (..., space), in spacings, by a measure other than "equal"."""
        return np.linalg.norm(offset, ord=1 if self.measure == "city_block" else 2, axis=-1)


def build_geometry(network: NetworkParameters) -> Geometry:
    """Place the synapses of `network`.

    | layout | positions |
    | --- | --- |
    | line | presynaptic neurons at x = 0, postsynaptic ones at x = 1, both at heights 0, 1, 2 ... |
    | random | the same, with random heights in the same range |
    | grid | the synapse of post i and pre j at (j, i) |
    | csv, swc | points read from a file |
    | equal | the line's, for drawing only: no plane has more than three points at equal distances |

    Raises
    ------
    ParameterError
        The layout needs a file and none is given, a file is given for another layout, a CSV file has another number of
        points than there are synapses, or a point is farther than `FARTHEST` from the origin.
    SimulationError, FileError
        The file is malformed, or cannot be read.
    """
    if network.layout_file and network.layout not in FILE_LAYOUTS:
        raise ParameterError(
            f"layout {network.layout} reads no file, but layout_file is {network.layout_file}; "
            f"set layout to {' or '.join(FILE_LAYOUTS)}, or leave layout_file out"
        )
    points = LAYOUTS[network.layout](network)
    # Not "> FARTHEST": lengths that overflow make NaN.
    if not (farthest := np.abs(points).max()) <= FARTHEST:
        raise ParameterError(
            f"{network.layout_file} has a synapse {farthest:g} spacings from the origin, and at most {FARTHEST:g} are "
            "allowed; correct the file, or raise layout_unit"
        )
    position = points.reshape(network.postsynaptic_neurons, network.presynaptic_neurons, -1)
    return Geometry(position, "equal" if network.layout == "equal" else network.distance_measure)


def _line(network: NetworkParameters) -> Array:
    return _midpoints(*_line_heights(network))


def _random(network: NetworkParameters) -> Array:
    generator = np.random.default_rng(network.seed)
    pre, post = _line_heights(network)
    return _midpoints(generator.uniform(0, pre[-1], pre.size), generator.uniform(0, post[-1], post.size))


def _grid(network: NetworkParameters) -> Array:
    pre, post = _line_heights(network)
    return np.stack([np.tile(pre, post.size), np.repeat(post, pre.size)], axis=1)


def _from_csv(network: NetworkParameters) -> Array:
    points = read_points(_layout_file(network))
    synapses = network.presynaptic_neurons * network.postsynaptic_neurons
    if len(points) != synapses:
        raise ParameterError(
            f"{network.layout_file} places {len(points)} synapses, but {network.presynaptic_neurons} x "
            f"{network.postsynaptic_neurons} neurons have {synapses}; give each synapse one line"
        )
    return points / network.layout_unit


def _from_swc(network: NetworkParameters) -> Array:
    synapses = network.presynaptic_neurons * network.postsynaptic_neurons
    return points_along_dendrites(_layout_file(network), synapses) / network.layout_unit


FARTHEST = 1e9
"""Largest coordinate of a synapse, in spacings; the squares of much larger ones overflow."""

LAYOUTS: Mapping[str, Callable[[NetworkParameters], Array]] = {
    "line": _line,
    "random": _random,
    "equal": _line,
    "grid": _grid,
    "csv": _from_csv,
    "swc": _from_swc,
}
"""The function of each layout; it returns points (synapse, space), all synapses of post 0 first."""

FILE_LAYOUTS = ("csv", "swc")


def _line_heights(network: NetworkParameters) -> tuple[Array, Array]:
    return np.arange(network.presynaptic_neurons, dtype=float), np.arange(network.postsynaptic_neurons, dtype=float)


def _midpoints(pre: Array, post: Array) -> Array:
    heights = (post[:, None] + pre[None, :]) / 2
    return np.stack([np.full(heights.size, 0.5), heights.ravel()], axis=1)


def _layout_file(network: NetworkParameters) -> Path:
    if not network.layout_file:
        raise ParameterError(f"layout {network.layout} reads a file; set layout_file to its path")
    return Path(network.layout_file)
