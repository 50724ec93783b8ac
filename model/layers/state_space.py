"""A diagonal state space (S4D) in the place of attention, of the kind that leads the Long Range Arena.

Each feature u drives 2 N complex states: N states x run from the first row to the last, N states x' run backwards:

    x_k = exp(Delta A) x_{k-1} + B u_k          B = (exp(Delta A) - 1) / A          (zero-order hold over a step Delta)
    y_k = 2 Re(C x_k) + 2 Re(C' x'_{k+1}) + D u_k

This is one convolution, whose kernel depends on parameters alone:

    K_l = 2 Re sum_n C_n B_n exp(l Delta A_n)

GELU and a gated linear unit follow. Source: Gu et al. 2022 (arXiv 2206.11893) with their initial values S4D-Lin,
A_n = -1/2 + i pi n; N counts one state of each conjugate pair. As in the authors' code for classification, both
directions share A and Delta.

Two things are ours. The block has the feed-forward part of all other models. One optimiser treats all parameters
alike; the authors give A and Delta a smaller learning rate and no weight decay.
"""

import math
from itertools import count
from typing import Any

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from model.layers.mixing import Mixing, Rows, Shared, Valid, WantedRows
from model.layers.precision import at_least_float32, without_autocast

STEPS = (1e-3, 1e-1)
"""Bounds of the initial Delta, which is log-uniform."""


class StateSpace(Mixing):
    """S4D over segments of `tokens` rows, in both directions, with `states` conjugate pairs per feature.

    Parameters are real, so that `model.to(dtype)` and every optimiser handle them.
    """

    def __init__(self, width: int, states: int, tokens: int):
        super().__init__()
        self.tokens = tokens
        self.log_step = nn.Parameter(torch.empty(width).uniform_(*map(math.log, STEPS)))
        self.log_decay = nn.Parameter(torch.full((width, states), 0.5).log())
        self.frequency = nn.Parameter(math.pi * torch.arange(states).repeat(width, 1))
        # Real and imaginary parts of C, of variance 1/2 each.
        self.read = nn.Parameter(torch.randn(2, width, states, 2) / 2**0.5)
        self.skip = nn.Parameter(torch.randn(width))
        self.project_out = nn.Linear(width, 2 * width)

    def shared(self) -> Shared:
        """(kernel,) over all lags, shape (feature, lag)."""
        with without_autocast(self.skip):
            return (two_sided(self.kernel(), at_least_float32(self.skip)),)

    def kernel(self) -> Float[Tensor, "feature direction token"]:
        """K of both directions, in float32 or float64."""
        step, decay, frequency = (at_least_float32(x) for x in (self.log_step, self.log_decay, self.frequency))
        poles = torch.complex(-decay.exp(), frequency)
        stepped = poles * step.exp()[:, None]
        # expm1: Delta is small, and exp(x) - 1 would cancel.
        read = torch.view_as_complex(at_least_float32(self.read)) * torch.expm1(stepped) / poles
        # Recompute the powers in backward: from some hundred tokens on they exceed the activations of one sample.
        return checkpoint(sum_of_powers, read, stepped, self.tokens, use_reentrant=False, preserve_rng_state=False)

    def forward(self, rows: Rows, valid: Valid, shared: Shared, wanted: int) -> WantedRows:
        """As `Mixing.forward`; invalid rows count as zeros."""
        kernel = cropped(shared[0], rows.shape[1]) if rows.shape[1] < self.tokens else shared[0]
        return functional.glu(self.project_out(functional.gelu(convolve(rows, valid, kernel, wanted))))


def sum_of_powers(
    weights: Complex[Tensor, "direction feature state"], logarithms: Complex[Tensor, "feature state"], tokens: int
) -> Float[Tensor, "feature direction token"]:
    """K_l = 2 Re sum_n weights_n exp(l logarithms_n) for l = 0 .. `tokens` - 1.

    With l = start + place, exp(l z) = exp(start z) exp(place z), and the sum over n is a product of matrices. So each
    state needs O(sqrt(tokens)) powers instead of `tokens`.
    """
    size = math.isqrt(tokens - 1) + 1
    places = torch.arange(size, device=weights.device)
    starts = size * torch.arange(-(-tokens // size), device=weights.device)
    at_start = weights[..., None] * _powers(logarithms, starts)
    within = _powers(logarithms, places)
    # The real part of a complex product, as one real product.
    left = torch.cat([at_start.real, -at_start.imag], dim=2).permute(1, 0, 3, 2).flatten(1, 2)
    right = torch.cat([within.real, within.imag], dim=1)
    return (2 * left @ right).unflatten(1, (2, -1)).flatten(2)[..., :tokens]


def _powers(logarithms: Tensor, exponents: Tensor) -> Tensor:
    """exp(l z) from real functions: the complex exponential is not vectorised on a CPU."""
    size = torch.exp(logarithms.real[..., None] * exponents)
    angle = logarithms.imag[..., None] * exponents
    return torch.complex(size * angle.cos(), size * angle.sin())


def two_sided(
    kernel: Float[Tensor, "feature direction token"], skip: Float[Tensor, " feature"]
) -> Float[Tensor, "feature lag"]:
    """One kernel for both directions: the first from lag 0 up, the second from lag -1 down, and `skip` (D) at lag 0.

    Negative lags are at the end, as a Fourier transform expects. Zeros in between make its length a fast one.
    """
    tokens = kernel.shape[2]
    ahead, back = kernel.unbind(dim=1)
    ahead = ahead + functional.pad(skip[:, None], (0, tokens - 1))
    return _wrapped(ahead, back[:, : tokens - 1].flip(1))


def cropped(kernel: Float[Tensor, "feature lag"], tokens: int) -> Float[Tensor, "feature fewer"]:
    """A kernel from `two_sided` cut to the lags between `tokens` rows, so that short sequences cost less."""
    return _wrapped(kernel[:, :tokens], kernel[:, kernel.shape[1] - (tokens - 1) :])


def _wrapped(ahead: Tensor, back: Tensor) -> Tensor:
    lags = ahead.shape[1] + back.shape[1]
    return torch.cat([functional.pad(ahead, (0, fast_length(lags) - lags)), back], dim=1)


def convolve(
    rows: Float[Tensor, "batch token width"],
    valid: Bool[Tensor, "batch token"],
    kernel: Float[Tensor, "width lag"],
    wanted: int,
) -> Float[Tensor, "batch wanted width"]:
    """The first `wanted` rows of the convolution of valid `rows` with a kernel from `two_sided`, in O(token log token).

    It can be differentiated once, not twice. Transforms are in float32 or float64. This autograd function saves the
    rows alone and uses real transforms in backward; plain autograd would save twice as much and use complex ones.
    """
    return _Convolution.apply(rows, valid, kernel, wanted)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, valid: Tensor, kernel: Tensor, wanted: int) -> Tensor:
        ctx.save_for_backward(rows, valid, kernel)
        with without_autocast(rows):
            spectrum = _spectrum(_masked(rows, valid), kernel).mul_(torch.fft.rfft(kernel))
            return _rows(spectrum, kernel, wanted).to(rows.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] (the decorator hides the names)
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, ...]:
        rows, valid, kernel = ctx.saved_tensors
        with without_autocast(rows):
            spectrum = _spectrum(at_least_float32(gradient), kernel)
            # Both gradients are correlations: convolutions with the reversed operand, whose transform is the conjugate.
            products = _spectrum(_masked(rows, valid), kernel).conj_physical_().mul_(spectrum)
            kernel_gradient = torch.fft.irfft(products.sum(dim=0), n=kernel.shape[1])
            del products
            spectrum.mul_(torch.fft.rfft(kernel).conj())
            rows_gradient = _masked(_rows(spectrum, kernel, rows.shape[1]), valid)
        return rows_gradient.to(rows.dtype), None, kernel_gradient, None


def _masked(rows: Tensor, valid: Tensor) -> Tensor:
    return at_least_float32(rows) * valid[:, :, None]


def _spectrum(rows: Tensor, kernel: Tensor) -> Tensor:
    """Transform along tokens, (batch, width, frequency): twice as fast along the contiguous axis."""
    return torch.fft.rfft(rows.mT, n=kernel.shape[1])


def _rows(spectrum: Tensor, kernel: Tensor, count: int) -> Tensor:
    """The first `count` rows, copied: a view would keep the whole transform alive."""
    return torch.fft.irfft(spectrum, n=kernel.shape[1])[:, :, :count].mT.contiguous()


def fast_length(least: int) -> int:
    """The smallest even number >= `least` without prime factors above 5: a fast length for a Fourier transform."""
    return next(length for length in count(least + least % 2, 2) if 30 ** length.bit_length() % length == 0)
