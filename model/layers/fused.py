"""Astromorphic attention as one autograd function with a backward of its own: fast, and small in memory.

`model.layers.attention.astromorphic_attention` is the plain form, which this equals. For the plain form autograd saves
about nine tensors of (token, feature). This function saves its inputs, which exist anyway, the memory H and the key
sum; backward recomputes phi.

With features q = phi(Q), k = phi(K), traces w = k + phi(R), key sum s, c = q . s^alpha, and dL the gradient of the
read L:

    dN = dL / c              dq = dN H^T - (q . dN H^T) s^alpha / c            dH = scale q^T dN
    dw = V dH^T              ds = -alpha s^(alpha - 1) sum_n (q_n . dN_n H^T) q_n / c_n
    dV = w dH                dk = dw + ds                                      dphi(R) = sum over the batch of dw

All arithmetic is in float32 or float64, with or without autocast: in bfloat16 sums over tokens lose their last digits.
"""

from typing import Any

import torch
from torch import Tensor

from model.layers.precision import at_least_float32, without_autocast

LEAST_KEY_SUM = 1e-30
"""Lower limit of the key sum, and of q . s^alpha by which a read is divided.

With keys or queries that underflow, or no valid row, reads and gradients are zero, not NaN.
"""


def positive_features(x: Tensor) -> Tensor:
    """phi(x) = elu(x) + 1, in float32 or float64, of the shape of `x`.

    It is computed as exp(min(x, 0)) + max(x, 0). `elu(x) + 1` would cancel for negative x and leave only noise in
    bfloat16. Autograd saves the features alone.
    """
    return _PositiveFeatures.apply(at_least_float32(x))


class _PositiveFeatures(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        features = x.clamp(max=0).exp() + x.relu()
        ctx.save_for_backward(features)
        return features

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] (torch passes the gradients one by one)
        ctx: Any, gradient: Tensor
    ) -> Tensor:
        (features,) = ctx.saved_tensors
        # The slope of phi is exp(x) below zero and 1 above, so min(phi, 1).
        return gradient * features.clamp(max=1)


def fused_attention(
    query: Tensor, key: Tensor, value: Tensor, astrocytic: Tensor | None, valid: Tensor, exponent: Tensor, scale: float
) -> Tensor:
    """Astromorphic attention of phi(query) and phi(key); it can be differentiated once, not twice.

    `model.layers.attention.astromorphic_attention` is the plain form; it takes features.

    Shapes: `query` (batch, head, read, feature); `key` (batch, head, token, feature); `value` (batch, head, token,
    value); `astrocytic`, phi(R), (head, token, feature) or None; `valid` (batch, token); `exponent`, alpha, (). Returns
    (batch, head, read, value) in the dtype of `value`, with strides such that joining the heads copies nothing.
    """
    return _FusedAttention.apply(query, key, value, astrocytic, valid, exponent, scale)


class _FusedAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        astrocytic: Tensor | None,
        valid: Tensor,
        exponent: Tensor,
        scale: float,
    ) -> Tensor:
        with without_autocast(query):
            features, rows = positive_features(query), valid[:, None, :, None]
            traces = positive_features(key) * rows
            key_sum = traces.sum(dim=2, keepdim=True).clamp(min=LEAST_KEY_SUM)
            if astrocytic is not None:
                traces = traces + astrocytic * rows
            memory = scale * (traces.mT @ at_least_float32(value))
            normaliser = (features @ key_sum.pow(exponent).mT).clamp_(min=LEAST_KEY_SUM)
            read = (features @ memory / normaliser).to(value.dtype)
        ctx.save_for_backward(query, key, value, astrocytic, valid, exponent, key_sum, memory)
        ctx.scale = scale
        return read.transpose(1, 2).contiguous().transpose(1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] (the decorator hides the names)
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, ...]:
        query, key, value, astrocytic, valid, exponent, key_sum, memory = ctx.saved_tensors
        with without_autocast(query):
            features, rows = positive_features(query), valid[:, None, :, None]
            plasticity = key_sum.pow(exponent)
            normaliser = (features @ plasticity.mT).clamp_(min=LEAST_KEY_SUM)
            numerator_gradient = at_least_float32(gradient) / normaliser
            through_memory = numerator_gradient @ memory.mT
            # -dL . L / c. L = q H / c is not saved: dL . L = dN . q H = q . dN H^T.
            normaliser_gradient = -(features * through_memory).sum(dim=3, keepdim=True) / normaliser
            query_gradient = (through_memory + normaliser_gradient * plasticity) * features.clamp(max=1)
            plasticity_gradient = normaliser_gradient.mT @ features
            memory_gradient = ctx.scale * (features.mT @ numerator_gradient)
            # Each of these is as large as the rows. Free them before the gradients of key and value.
            del features, numerator_gradient, through_memory

            value_gradient, trace_gradient, astrocytic_gradient, slope = write_gradients(
                key, value, astrocytic, rows, memory_gradient
            )
            sum_gradient = plasticity_gradient * exponent * plasticity / key_sum
            key_gradient = trace_gradient.add_(sum_gradient).mul_(rows).mul_(slope)
            exponent_gradient = None
            if ctx.needs_input_grad[5]:
                exponent_gradient = (plasticity_gradient * plasticity * key_sum.log()).sum().to(exponent.dtype)
        return (
            query_gradient.to(query.dtype),
            key_gradient.to(key.dtype),
            value_gradient.to(value.dtype),
            astrocytic_gradient,
            None,
            exponent_gradient,
            None,
        )


def write_gradients(
    key: Tensor, value: Tensor, astrocytic: Tensor | None, rows: Tensor, memory_gradient: Tensor
) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """Gradients of the write H = scale w^T V, from `memory_gradient`, which is scale dH.

    `rows`, (batch, 1, token, 1), masks the tokens that write nothing. Returns dV, dw, dphi(R), and the slope of phi at
    `key`: dk is dw, plus what reaches the key otherwise, times this slope.
    """
    features = positive_features(key)
    traces = features if astrocytic is None else features + astrocytic
    value_gradient = (traces @ memory_gradient).mul_(rows)
    del traces
    trace_gradient = (at_least_float32(value) @ memory_gradient.mT).mul_(rows)
    astrocytic_gradient = None if astrocytic is None else trace_gradient.sum(dim=0).to(astrocytic.dtype)
    # The slope of phi, as in `_PositiveFeatures`.
    return value_gradient, trace_gradient, astrocytic_gradient, features.clamp_(max=1)
