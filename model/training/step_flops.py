"""Floating point operations of a training step: products of matrices, a multiplication and an addition count as two.

All other operations are of order `width` per row; Fourier transforms are not counted either.
"""

import math

from model.layers.position_sizes import BLOCK, DENSE_TOKENS
from model.networks.parameters import ModelParameters


def forward_flops(model: ModelParameters, segments: int, batch: int = 1) -> float:
    """FLOPs of one forward pass over `batch` sequences of `segments` segments."""
    once = _kernel_flops(model) + _once_flops(model)
    return sum(_segment_flops(model, wanted, batch) for wanted in wanted_rows(model, segments)) + model.layers * once


def training_flops(model: ModelParameters, method: str, segments: int, batch: int = 1, keep: int = 1) -> float:
    """FLOPs of a forward pass, a backward pass with two products for each one of forward, and the replay."""
    wanted = wanted_rows(model, segments)
    forward = [_segment_flops(model, rows, batch) for rows in wanted]
    replayed = sum(forward[: max(0, segments - keep)]) if method != "bptt" else 0.0
    replayed_layers = [
        (model.layers - 1) * _layer_flops(model, model.segment_rows, batch) if rows and method == "layerwise" else 0.0
        for rows in wanted
    ]
    # Backward recomputes W r. Only a learned kernel has a gradient of its own.
    kernel_passes = 4 if model.relative_positions == "learned" else 3
    once = kernel_passes * _kernel_flops(model) + 3 * _once_flops(model)
    recomputed = sum(_recomputed_flops(model, rows, batch) for rows in wanted)
    # Pixels get no gradient.
    without = batch * _patch_flops(model) * sum(rows > 0 for rows in wanted)
    return 3 * sum(forward) - without + recomputed + replayed + sum(replayed_layers) + model.layers * once


def _once_flops(model: ModelParameters) -> float:
    """Of one layer, once per step: (W r) W^T, its product with W unless blocks of rows make it, and a state space."""
    return (1 if model.rows_at_once else 2) * _feature_flops(model) + _powers_flops(model)


def _recomputed_flops(model: ModelParameters, wanted: int, batch: int) -> float:
    """What backward of a segment recomputes: Q H for the RMS-normalised read; with blocks of rows, all layers.

    The last convolution of a local mixing is not recomputed, because backward needs its input alone.
    """
    if not wanted:
        return 0.0
    if model.rows_at_once:
        one = model.layers * _local_flops(model) / len(model.local_dilations)
        return _segment_flops(model, wanted, batch) - batch * (_patch_flops(model) + one)
    if model.read == "divided":
        return 0.0
    return 2 * batch * ((model.layers - 1) * model.segment_rows + wanted) * model.width**2 / model.heads


def wanted_rows(model: ModelParameters, segments: int) -> list[int]:
    """Rows that the last block computes, per segment: memory alone for segments that the readout leaves out."""
    passed = 0 if model.readout == "every" else segments - 1
    return [model.memory_tokens] * passed + [model.segment_rows] * (segments - passed)


def _segment_flops(model: ModelParameters, wanted: int, batch: int) -> float:
    """All layers of a segment whose last block computes `wanted` rows; 0 if none are wanted."""
    if not wanted:
        return 0.0
    others = (model.layers - 1) * _layer_flops(model, model.segment_rows, batch)
    return batch * _patch_flops(model) + others + _layer_flops(model, wanted, batch)


def _patch_flops(model: ModelParameters) -> float:
    """The linear map of grey values to rows."""
    return 2.0 * model.segment_length * model.pixel_patch**2 * model.width if model.pixels == "continuous" else 0.0


def _layer_flops(model: ModelParameters, wanted: int, batch: int) -> float:
    # Blocks of rows make their rows of phi(R) in every segment, for the whole batch.
    features = _feature_flops(model) if model.rows_at_once else 0.0
    return batch * _layer_flops_of_one(model, wanted) + features


def _layer_flops_of_one(model: ModelParameters, wanted: int) -> float:
    rows, width = model.segment_rows, model.width
    query_out, key_value = 2 * 2 * wanted * width**2, 2 * 2 * rows * width**2
    feed_forward = 2 * 2 * wanted * width * model.feed_forward_width
    local = _local_flops(model)
    if model.family.attention == "state_space":
        values_and_gates = 2 * 2 * wanted * width**2
        return values_and_gates + feed_forward + local
    if model.family.attention == "softmax":
        # Scores, and the products of scores and values.
        mixing = 2 * 2 * wanted * rows * width
    else:
        # Write and read of a (feature, value) memory per head, and the divisor Q . g.
        divisor = 2 * wanted * width if model.read == "divided" else 0
        mixing = 2 * (rows + wanted) * width**2 / model.heads + divisor
    return query_out + key_value + feed_forward + mixing + local


def _local_flops(model: ModelParameters) -> float:
    """The convolutions of one layer's local mixing."""
    return 2.0 * model.segment_length * model.width * model.local_mixing * len(model.local_dilations)


def _feature_flops(model: ModelParameters) -> float:
    """(W r) W^T, or its product with W: a (token, feature, feature) product per head, once per step."""
    return 2 * model.segment_rows * model.width**2 / model.heads if model.has_positions else 0.0


def _kernel_flops(model: ModelParameters) -> float:
    """W r as `model.layers.positions` computes it; `MeasuredKernel` uses FFT above `DENSE_TOKENS`."""
    rows, width = model.segment_rows, model.width
    if not model.has_positions:
        return 0.0
    if model.relative_positions == "identity":
        return 0.0
    if rows <= DENSE_TOKENS:
        return 2 * width * rows**2
    return 0.0 if model.relative_positions in ("measured", "random") else 2 * _scan_flops(width, rows)


def _powers_flops(model: ModelParameters) -> float:
    """The kernel of a state space in both directions, as `sum_of_powers` computes it."""
    if model.family.attention != "state_space":
        return 0.0
    size, blocks = power_blocks(model)
    return 2 * model.width * (2 * blocks) * (2 * model.state_size) * size


def power_blocks(model: ModelParameters) -> tuple[int, int]:
    """Size and number of the blocks into which `sum_of_powers` cuts the rows."""
    size = math.isqrt(model.segment_rows - 1) + 1
    return size, -(-model.segment_rows // size)


def _scan_flops(width: int, tokens: int) -> float:
    if tokens <= BLOCK:
        return 2 * width * tokens**2
    blocks = -(-tokens // BLOCK)
    return 2 * width * blocks * BLOCK**2 + _scan_flops(width, blocks)
