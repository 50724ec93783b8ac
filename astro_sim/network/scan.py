"""Sums with weights that fall exponentially with distance along one axis, in linear time.

The plain form is a product with the matrix of weights; `DenseCoupling` has it.
"""

from dataclasses import dataclass

import numpy as np

from rmaat.base.arrays import Array

# A running sum grows like exp(span) before it is scaled back. At 100 it is far from overflow, and the relative rounding
# error is about span * 1e-16.
LONGEST_SPAN = 100


@dataclass(frozen=True, eq=False)
class _Block:
    """Neighbouring places that are so close that their exponentials do not overflow.

    Attributes
    ----------
    places : slice
        Of the block along the first axis.
    growth : (place, 1)
        `exp(scale (x - first x of the block))`.
    decay : (place, 1)
        The inverse of `growth`.
    to_next : float
        `exp(-scale (first x of the next block - first x of this one))`; 0 for the last block.
    """

    places: slice
    growth: Array
    decay: Array
    to_next: float


class ExponentialScan:
    """`sum_{k != n} exp(-scale |x_n - x_k|) values_k` for increasing places x (place,), in spacings.

    The sum over each side is a running sum, `exp(-scale x_n) sum_{k < n} exp(scale x_k) values_k`, cut into blocks. One
    application costs a few passes over the values.
    """

    def __init__(self, places: Array, scale: float) -> None:
        self._forward = _blocks(places, scale)
        self._backward = _blocks(-places[::-1], scale)

    def __call__(self, values: Array) -> Array:
        """The sums, in the shape of `values` (place, ...)."""
        flat = values.reshape(len(values), -1)
        sums = _sums_before(flat, self._forward)
        sums += _sums_before(flat[::-1], self._backward)[::-1]
        return sums.reshape(values.shape)


def _blocks(places: Array, scale: float) -> list[_Block]:
    starts = [0]
    while (stop := int(np.searchsorted(scale * (places - places[starts[-1]]), LONGEST_SPAN, "right"))) < places.size:
        starts.append(stop)
    blocks = []
    for start, stop in zip(starts, [*starts[1:], places.size], strict=True):
        inside = scale * (places[start:stop] - places[start])[:, None]
        to_next = float(np.exp(scale * (places[start] - places[stop]))) if stop < places.size else 0.0
        blocks.append(_Block(slice(start, stop), np.exp(inside), np.exp(-inside), to_next))
    return blocks


def _sums_before(values: Array, blocks: list[_Block]) -> Array:
    """`sum_{k < n} exp(-scale (x_n - x_k)) values_k` for `values` (place, other)."""
    sums = np.empty(values.shape)
    carried = np.zeros(values.shape[1:])
    for block in blocks:
        inside = values[block.places]
        running = np.empty((len(inside) + 1, *carried.shape))
        running[0] = carried
        np.multiply(inside, block.growth, out=running[1:])
        np.cumsum(running, axis=0, out=running)
        np.multiply(running[:-1], block.decay, out=sums[block.places])
        carried = running[-1] * block.to_next
    return sums
