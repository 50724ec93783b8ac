"""The RMS-normalised read: astromorphic attention without the division by Q . g.

    L_n = x_n / sqrt(mean(x_n^2) + e)        x_n = Q_n H        (token, value; the mean is over the values of a head)

The write H is that of `model.layers.attention`. Plasticity g and its exponent have no effect. Source: TransNormer
(arXiv 2210.10340), which finds that the division leaves gradients of linear attention unbounded; with H_astro it is
ours.

With the gradient dL of the read and r_n = 1 / sqrt(mean(x_n^2) + e):

    dx = r (dL - x r^2 mean(dL x))       dq = dx H^T            dH = scale q^T dx
    dw = V dH^T                          dV = w dH              dk = dw,  dphi(R) = sum over the batch of dw
"""

from typing import Any

import torch
from torch import Tensor

from model.layers.fused import positive_features, write_gradients
from model.layers.precision import at_least_float32, without_autocast

LEAST_MEAN_SQUARE = 1e-6
"""e above: a row that reads nothing stays zero."""


def normalised(x: Tensor) -> Tensor:
    """Each row (last axis) of `x` divided by its root mean square."""
    return x * _inverse_size(x)


def _inverse_size(x: Tensor) -> Tensor:
    return torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + LEAST_MEAN_SQUARE)


def fused_rms_attention(
    query: Tensor, key: Tensor, value: Tensor, astrocytic: Tensor | None, valid: Tensor, scale: float
) -> Tensor:
    """RMS-normalised attention of phi(query) and phi(key); it can be differentiated once, not twice.

    Arguments, shapes and precision are those of `model.layers.fused.fused_attention`. Like it, this saves its inputs
    and H alone.
    """
    return _FusedRmsAttention.apply(query, key, value, astrocytic, valid, scale)


class _FusedRmsAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, astrocytic: Tensor | None, valid: Tensor, scale: float
    ) -> Tensor:
        with without_autocast(query):
            rows = valid[:, None, :, None]
            traces = positive_features(key) * rows
            if astrocytic is not None:
                traces = traces + astrocytic * rows
            memory = scale * (traces.mT @ at_least_float32(value))
            read = normalised(positive_features(query) @ memory).to(value.dtype)
        ctx.save_for_backward(query, key, value, astrocytic, valid, memory)
        ctx.scale = scale
        return read.transpose(1, 2).contiguous().transpose(1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] (the decorator hides the names)
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, ...]:
        query, key, value, astrocytic, valid, memory = ctx.saved_tensors
        with without_autocast(query):
            features, rows = positive_features(query), valid[:, None, :, None]
            unscaled, gradient = features @ memory, at_least_float32(gradient)
            size = _inverse_size(unscaled)
            along = (gradient * unscaled).mean(dim=-1, keepdim=True) * size.square()
            read_gradient = unscaled.mul_(-along).add_(gradient).mul_(size)
            query_gradient = (read_gradient @ memory.mT).mul_(features.clamp(max=1))
            memory_gradient = ctx.scale * (features.mT @ read_gradient)
            # Each is as large as the rows: free them before the key's half.
            del features, unscaled, read_gradient, gradient

            value_gradient, trace_gradient, astrocytic_gradient, slope = write_gradients(
                key, value, astrocytic, rows, memory_gradient
            )
            key_gradient = trace_gradient.mul_(slope)
        return (
            query_gradient.to(query.dtype),
            key_gradient.to(key.dtype),
            value_gradient.to(value.dtype),
            astrocytic_gradient,
            None,
            None,
        )
