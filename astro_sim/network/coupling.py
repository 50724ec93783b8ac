"""The coupling between the astrocytic processes at any two synapses, as an operator.

    T_ijkl = ε exp(-scale · distance(ij, kl)),   T_ijij = 0

The dependence on distance is from the RMAAT paper; the exponential and the zero self-coupling are ours. The plain form
is a matrix of synapses² numbers. For regular positions there are faster forms of the same sum:

| kind | positions | cost for S synapses |
| --- | --- | --- |
| `DenseCoupling` | any, few synapses | S² |
| `EqualCoupling` | all distances 1 | S |
| `LineCoupling` | all synapses on one line, evenly spaced or not | S |
| `CityBlockCoupling` | rows and columns, distance summed along both axes | S |
| `FourierCoupling` | a regular grid | S log S |

All are exact. `DenseCoupling` is the reference for the others.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import fft as scipy_fft
from scipy.sparse.linalg import LinearOperator, eigsh

from astro_sim.network.geometry import Geometry
from astro_sim.network.scan import ExponentialScan
from astro_sim.parameters import NetworkParameters
from rmaat.base.arrays import Array
from rmaat.base.records import ParameterError

# The stubs of scipy.fft describe its dispatch to backends, not the arrays that it returns.
fft: Any = scipy_fft

# Largest number of synapses with a dense tensor. It then takes 0.5 MB and is the fastest kind up to this size.
LARGEST_DENSE = 256

# Couplings below this share of the strongest are dropped: even a million of them sum to less than rounding.
NEGLIGIBLE = 1e-22

RADIUS_TOLERANCE = 1e-7
"""Relative residual of the eigenvector. The error of the eigenvalue is of the order of its square."""


class Coupling(ABC):
    """The tensor T as a linear operator on signals. T is symmetric, not negative, and zero from a synapse to itself.

    Attributes
    ----------
    shape : (post, pre)
        Of the signals.
    points : tuple of int
        Sizes of further axes of the signals, when several networks are solved as one; see `BatchCoupling`.
    """

    shape: tuple[int, int]
    points: tuple[int, ...] = ()

    @abstractmethod
    def apply(self, signal: Array) -> Array:
        """`sum_kl T_ijkl signal_kl` (post, pre), dimensionless, for a `signal` (post, pre)."""

    @abstractmethod
    def between(self, source: tuple[int, int]) -> Array:
        """The strengths `T[:, :, *source]` (post, pre)."""

    def dense(self) -> Array:
        """The tensor T (post, pre, source_post, source_pre).

        Raises
        ------
        ParameterError
            There are more than LARGEST_DENSE synapses.
        """
        require_dense(self.shape)
        strengths = [self.between(source) for source in np.ndindex(*self.shape)]
        return np.stack(strengths, axis=-1).reshape(self.shape * 2)

    def spectral_radius(self) -> float:
        """The largest eigenvalue of T: the largest amplification of any pattern.

        Beyond LARGEST_DENSE synapses it is found by Lanczos' method, which needs `apply` only. Lanczos takes the square
        root of the steps of a power iteration, whose number grows with the network.
        """
        synapses = self.shape[0] * self.shape[1]
        if synapses <= LARGEST_DENSE:
            return float(np.abs(np.linalg.eigvalsh(as_matrix(self.dense()))).max())
        # The pattern that is amplified most is positive (Perron-Frobenius), so it is never orthogonal to all ones.
        start = np.ones(self.shape)
        if not self.apply(start).any():
            return 0.0
        options: dict[str, Any] = {"v0": start.ravel(), "tol": RADIUS_TOLERANCE, "return_eigenvectors": False}
        operator: Any = LinearOperator
        matrix = operator((synapses,) * 2, lambda vector: self.apply(vector.reshape(self.shape)).ravel(), dtype=float)
        return float(eigsh(matrix, k=1, which="LA", **options)[0])


class DenseCoupling(Coupling):
    """Any tensor T (post, pre, source_post, source_pre), as a matrix: the plain form."""

    def __init__(self, tensor: Array) -> None:
        self.shape = tensor.shape[0], tensor.shape[1]
        self._tensor, self._matrix = tensor, as_matrix(tensor)

    def apply(self, signal: Array) -> Array:
        """As `Coupling.apply`, by a product with a matrix."""
        return (self._matrix @ signal.ravel()).reshape(self.shape)

    def between(self, source: tuple[int, int]) -> Array:
        """As `Coupling.between`."""
        return self._tensor[:, :, *source]


class KernelCoupling(Coupling):
    """T as a function of distance, `strength * exp(-scale * distance)`, that is never stored as a tensor."""

    def __init__(self, geometry: Geometry, strength: float, scale: float) -> None:
        self.shape = geometry.shape
        self._geometry, self._strength, self._scale = geometry, strength, scale

    def between(self, source: tuple[int, int]) -> Array:
        """As `Coupling.between`, from distances."""
        return strengths_from(source, self._geometry, self._strength, self._scale)


class EqualCoupling(KernelCoupling):
    """All distances are 1, so every synapse receives the sum of the others."""

    def apply(self, signal: Array) -> Array:
        """As `Coupling.apply`, by one sum."""
        return self._strength * np.exp(-self._scale) * (signal.sum() - signal)


class LineCoupling(KernelCoupling):
    """All synapses are on one axis: signals at the same place are summed, and the places are scanned."""

    def __init__(self, geometry: Geometry, strength: float, scale: float) -> None:
        super().__init__(geometry, strength, scale)
        (axis,) = _axes_used(geometry.position) or (0,)
        places: Array
        places, index = np.unique(geometry.position[..., axis], return_inverse=True)
        self._place = index.reshape(self.shape)
        self._scan = ExponentialScan(places, scale)

    def apply(self, signal: Array) -> Array:
        """As `Coupling.apply`, by one scan."""
        at_place: Any = np.bincount(self._place.ravel(), signal.ravel())
        # Subtract the own signal first: the result is exactly 0 if the synapse is alone at its place, so that a weak
        # coupling to other places is not lost in rounding.
        others = at_place.take(self._place)
        others -= signal
        others += self._scan(at_place).take(self._place)
        others *= self._strength
        return others


class CityBlockCoupling(KernelCoupling):
    """x depends on the column only, y on the row only: `exp(-scale (|Δx| + |Δy|))` is a scan along each axis."""

    def __init__(self, geometry: Geometry, strength: float, scale: float) -> None:
        super().__init__(geometry, strength, scale)
        self._along_rows = ExponentialScan(geometry.position[0, :, 0], scale)
        self._along_columns = ExponentialScan(geometry.position[:, 0, 1], scale)

    def apply(self, signal: Array) -> Array:
        """As `Coupling.apply`, by two scans."""
        same_row = self._along_rows(signal.T).T
        return self._strength * (same_row + self._along_columns(same_row + signal))


class FourierCoupling(KernelCoupling):
    """Rows and columns at equal steps: T is a convolution, computed by FFT on a padded grid.

    The padding is as wide as the reach of the kernel, so that no signal that wraps round is within reach.
    """

    def __init__(self, geometry: Geometry, strength: float, scale: float) -> None:
        super().__init__(geometry, strength, scale)
        post, pre = self.shape
        rows, columns = _offsets(2 * post - 1), _offsets(2 * pre - 1)
        whole = _kernel(geometry, scale, rows, columns)
        least = NEGLIGIBLE * whole.max()
        self._padded = (
            fft.next_fast_len(post + _reach(rows, whole.max(axis=1), least)),
            fft.next_fast_len(pre + _reach(columns, whole.max(axis=0), least), real=True),
        )
        kernel = strength * _kernel(geometry, scale, *map(_offsets, self._padded))
        # T is symmetric, so the transform of the kernel is real except for rounding.
        self._transform = np.ascontiguousarray(fft.rfft2(kernel, workers=1).real)

    def apply(self, signal: Array) -> Array:
        """As `Coupling.apply`, by one transform and its inverse."""
        post, pre = self.shape
        # One axis at a time: rfft2 would also transform rows of zeros, and irfft2 rows that are discarded.
        waves = fft.fft(fft.rfft(signal, self._padded[1], axis=1), self._padded[0], axis=0, overwrite_x=True)
        waves *= self._transform
        rows = fft.ifft(waves, axis=0, overwrite_x=True)[:post]
        return fft.irfft(rows, self._padded[1], axis=1)[:, :pre]


def _offsets(size: int) -> Array:
    """Steps (size,) along an axis that wraps round after `size`, in the order of a Fourier transform."""
    offsets: Any = np.fft.fftfreq(size, 1 / size)
    return offsets


def _kernel(geometry: Geometry, scale: float, rows: Array, columns: Array) -> Array:
    """T (row, column) of strength 1 between two synapses that are `rows` and `columns` of a grid apart."""
    step = geometry.position[:2, :2] - geometry.position[0, 0]
    kernel = np.exp(-scale * geometry.length(rows[:, None, None] * step[-1, 0] + columns[None, :, None] * step[0, -1]))
    kernel[0, 0] = 0
    return kernel


def _reach(offsets: Array, strengths: Array, least: float) -> int:
    """The largest of `offsets` whose strength exceeds `least`."""
    return int(np.abs(offsets[strengths > least]).max(initial=0))


def build_coupling(geometry: Geometry, network: NetworkParameters) -> Coupling:
    """The coupling of `network`, as the fastest exact kind for its size and its positions.

    Raises
    ------
    ParameterError
        The coupling is given by its spectral radius, but no two synapses couple. Or there are more than LARGEST_DENSE
        synapses at irregular positions.
    """
    kind, scale = _kind(geometry), network.coupling_scale
    if network.coupling_given_by == "strength":
        return kind(geometry, network.coupling_strength, scale)
    unit = kind(geometry, 1.0, scale).spectral_radius()
    if unit == 0:
        raise ParameterError(
            "no strength gives the coupling a spectral radius, because no two synapses couple; "
            "take more neurons or lower coupling_scale"
        )
    return kind(geometry, network.coupling_spectral_radius / unit, scale)


def dense_coupling(geometry: Geometry, strength: float, scale: float) -> DenseCoupling:
    """The plain form, from distances; raises `ParameterError` if there are more than LARGEST_DENSE synapses."""
    require_dense(geometry.shape)
    sources = np.ndindex(*geometry.shape)
    strengths = [strengths_from(source, geometry, strength, scale) for source in sources]
    return DenseCoupling(np.stack(strengths, axis=-1).reshape(geometry.shape * 2))


def strengths_from(source: tuple[int, int], geometry: Geometry, strength: float, scale: float) -> Array:
    """The strengths (post, pre), dimensionless, of the coupling from the synapse at `source` to every other."""
    strengths = strength * np.exp(-scale * geometry.distance_from(source))
    strengths[source] = 0
    return strengths


def sources_to_store(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """The source synapses for which traces hold coupling and influence: all, or the centre of a large network."""
    if shape[0] * shape[1] <= LARGEST_DENSE:
        return list(np.ndindex(*shape))
    return [(shape[0] // 2, shape[1] // 2)]


def _kind(geometry: Geometry) -> Callable[[Geometry, float, float], Coupling]:
    """The constructor of the fastest exact kind: the plain form for few synapses, else the form for the positions."""
    if geometry.shape[0] * geometry.shape[1] <= LARGEST_DENSE:
        return dense_coupling
    if geometry.measure == "equal":
        return EqualCoupling
    if len(_axes_used(geometry.position)) <= 1:
        return LineCoupling
    if geometry.measure == "city_block" and _in_rows_and_columns(geometry.position):
        return CityBlockCoupling
    return FourierCoupling if _evenly_spaced(geometry.position) else dense_coupling


def _axes_used(position: Array) -> tuple[int, ...]:
    return tuple(axis for axis in range(position.shape[-1]) if np.ptp(position[..., axis]) > 0)


def _in_rows_and_columns(position: Array) -> bool:
    x, y = position[..., 0], position[..., 1]
    in_order = (np.diff(x[0]) > 0).all() and (np.diff(y[:, 0]) > 0).all()
    return position.shape[-1] == 2 and bool(in_order and (x == x[0]).all() and (y == y[:, :1]).all())


def _evenly_spaced(position: Array) -> bool:
    post, pre = np.indices(position.shape[:2])[..., None]
    step = position[:2, :2] - position[0, 0]
    grid = position[0, 0] + post * step[-1, 0] + pre * step[0, -1]
    return bool(np.allclose(position, grid, rtol=0, atol=1e-13 * np.abs(position).max()))


def as_matrix(tensor: Array) -> Array:
    """A tensor (post, pre, source_post, source_pre) as a matrix for raveled (post, pre) arrays."""
    synapses = tensor.shape[0] * tensor.shape[1]
    return tensor.reshape(synapses, synapses)


def require_dense(shape: tuple[int, int]) -> None:
    """Raise `ParameterError` if a network of `shape` (post, pre) is too large for a dense tensor."""
    post, pre = shape
    if post * pre > LARGEST_DENSE:
        raise ParameterError(
            f"{pre} x {post} neurons have {post * pre} synapses, more than the {LARGEST_DENSE} that a dense coupling "
            "tensor supports; choose fewer neurons"
        )
