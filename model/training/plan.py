"""What a model will cost before it runs: parameters, memory and arithmetic of a training step, from formulas.

Tensors are counted in rows of `width` numbers, a term for each thing that a block keeps for its backward pass; so a
block that keeps less changes one term here. What the readout does not need is not counted, as it is not computed.
"""

import math
from dataclasses import dataclass

from model.errors import ModelError
from model.layers.position_sizes import BLOCK, DENSE_TOKENS
from model.networks.parameters import ModelParameters

WAYS = ("bptt", "amrb", "layerwise")
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Plan:
    """The cost of training one model one way."""

    architecture: str
    way: str
    parameters: int
    megabytes: float
    """highest sum of tensors above parameters, gradients and moments, per step"""
    forward_flops_per_token: float
    """a multiplication and an addition are two"""
    training_flops_per_token: float


def plan(model: ModelParameters, way: str, tokens: int, batch: int = 1, keep: int = 1) -> Plan:
    """The cost of a step of `model` on `batch` sequences of `tokens`, in float32, differentiated by `way`.

    Where documents are encoded apart, a sequence is two of one length, and costs what two sequences of it do.

    Raises
    ------
    ModelError
        The way is unknown, or the sequence is longer than the model takes.
    """
    if way not in WAYS:
        raise ModelError(f"{way} is no way to differentiate that can be planned; choose one of {', '.join(WAYS)}")
    rows, longest = (2 * batch, document_length(tokens)) if model.separator else (batch, tokens)
    if not 1 <= longest <= model.longest_sequence:
        each = " a document" if model.separator else ""
        raise ModelError(
            f"the model takes 1 to {model.longest_sequence} tokens{each}, not {longest}; set more segments"
        )
    segments = -(-longest // model.segment_length)
    forward, training = forward_flops(model, segments, rows), training_flops(model, way, segments, rows, keep)
    return Plan(
        model.architecture,
        way,
        parameter_count(model),
        peak_bytes(model, way, segments, rows, keep) / 1e6,
        forward / (tokens * batch),
        training / (tokens * batch),
    )


def document_length(tokens: int) -> int:
    """Tokens of each of two documents of one length that fill a sequence of `tokens` with their separator."""
    return tokens // 2


def parameter_count(model: ModelParameters) -> int:
    """All learned numbers of `model`."""
    width, rows = model.width, _rows(model)
    attention = _state_space_parameters(model) if _is_state_space(model) else _attention_parameters(model)
    feed_forward = 2 * width * model.feed_forward_width + model.feed_forward_width + width
    norms = 2 * 2 * width
    final_norm = 2 * width if model.norm == "pre" else 0
    embedding = (model.vocabulary + rows) * width
    memory = model.memory_tokens * width
    return embedding + memory + _head_size(model) + final_norm + model.layers * (attention + feed_forward + norms)


def _attention_parameters(model: ModelParameters) -> int:
    width = model.width
    positions = width * _rows(model) + (model.relative_positions == "learned") if _has_positions(model) else 0
    return 4 * width * (width + 1) + positions + (model.exponent == "learned")


def _state_space_parameters(model: ModelParameters) -> int:
    # Real and imaginary part of a pole, and of what reads it in each direction; step and skip; the projection.
    return model.width * (6 * model.state_size + 2) + 2 * model.width * (model.width + 1)


def forward_flops(model: ModelParameters, segments: int, batch: int = 1) -> float:
    """Products of matrices in one forward pass; the rest is of order `width` per row, but for Fourier transforms."""
    once = _kernel_flops(model) + 2 * _feature_flops(model) + _powers_flops(model)
    return batch * sum(_segment_flops(model, wanted) for wanted in _wanted(model, segments)) + model.layers * once


def training_flops(model: ModelParameters, way: str, segments: int, batch: int = 1, keep: int = 1) -> float:
    """The same in one forward and backward pass and what is replayed; backward takes two products for each one."""
    wanted = _wanted(model, segments)
    forward = [_segment_flops(model, rows) for rows in wanted]
    replayed = sum(forward[: max(0, segments - keep)]) if way != "bptt" else 0.0
    layers_again = [
        (model.layers - 1) * _layer_flops(model, _rows(model)) if rows and way == "layerwise" else 0.0
        for rows in wanted
    ]
    # W r is made again in backward; only a learned kernel has a gradient of its own.
    kernel_passes = 4 if model.relative_positions == "learned" else 3
    once = kernel_passes * _kernel_flops(model) + 3 * (2 * _feature_flops(model) + _powers_flops(model))
    return batch * (3 * sum(forward) + replayed + sum(layers_again)) + model.layers * once


def peak_bytes(model: ModelParameters, way: str, segments: int, batch: int = 1, keep: int = 1) -> float:
    """Highest sum of tensors above parameters, gradients and moments."""
    # The last segment comes first, kept or replayed, when there are no sums of gradients yet.
    first = segments if way == "bptt" else min(max(keep, 1), segments)
    wanted = _wanted(model, segments)
    kept, replayed = wanted[segments - first :], wanted[: segments - first]
    held, step_peak = (_held_layerwise, _peak_layerwise) if way == "layerwise" else (_held, _peak)
    before = sum(held(model, rows) for rows in kept[:-1])
    # Sums of gradients exist from the second segment of the backward pass on.
    sums = parameter_count(model) / (batch * model.width) if way != "bptt" else 0.0
    next_kept = before - held(model, kept[-2]) + step_peak(model, kept[-2]) if before else 0.0
    earlier = max([next_kept] + [step_peak(model, rows) for rows in replayed])
    most = max(before + step_peak(model, kept[-1]), earlier + sums)
    memories = 0 if way == "bptt" else segments * model.memory_tokens
    segment_rows = batch * (most + memories)
    return FLOAT_BYTES * model.width * (_shared_rows(model) + max(segment_rows, _last_rows(model)))


def _head_size(model: ModelParameters) -> int:
    if not model.separator:
        return (model.width + 1) * model.classes
    hidden, half = model.pair_head_widths
    return (2 * model.width + 1) * hidden + (hidden + 1) * half + (half + 1) * model.classes


def _rows(model: ModelParameters) -> int:
    return model.memory_tokens + model.segment_length


def _wanted(model: ModelParameters, segments: int) -> list[int]:
    """For each segment, the rows that its last layer makes: memory alone where the readout leaves it out."""
    passed = segments - 1 if model.readout == "last" else 0
    return [model.memory_tokens] * passed + [_rows(model)] * (segments - passed)


def _has_positions(model: ModelParameters) -> bool:
    return model.family.attention == "astromorphic" and model.relative_positions != "none"


def _is_state_space(model: ModelParameters) -> bool:
    return model.family.attention == "state_space"


# Arithmetic.


def _segment_flops(model: ModelParameters, wanted: int) -> float:
    """All layers, the last of which makes `wanted` rows; a segment that hands nothing on does nothing."""
    return (model.layers - 1) * _layer_flops(model, _rows(model)) + _layer_flops(model, wanted) if wanted else 0.0


def _layer_flops(model: ModelParameters, wanted: int) -> float:
    rows, width = _rows(model), model.width
    query_out, key_value = 2 * 2 * wanted * width**2, 2 * 2 * rows * width**2
    feed_forward = 2 * 2 * wanted * width * model.feed_forward_width
    if _is_state_space(model):
        values_and_gates = 2 * 2 * wanted * width**2
        return values_and_gates + feed_forward
    if model.family.attention == "softmax":
        # Scores, and their products with the values.
        mixing = 2 * 2 * wanted * rows * width
    else:
        # Writing and reading a (feature, value) memory per head, and the read's divisor.
        mixing = 2 * (rows + wanted) * width**2 / model.heads + 2 * wanted * width
    return query_out + key_value + feed_forward + mixing


def _feature_flops(model: ModelParameters) -> float:
    """(W r) W^T, or its product with W: each a (token, feature, feature) product per head, once a step."""
    return 2 * _rows(model) * model.width**2 / model.heads if _has_positions(model) else 0.0


def _kernel_flops(model: ModelParameters) -> float:
    """W r, as `model.layers.positions` makes it; an FFT is no product of matrices."""
    rows, width = _rows(model), model.width
    if not _has_positions(model):
        return 0.0
    if rows <= DENSE_TOKENS:
        return 2 * width * rows**2
    return 0.0 if model.relative_positions == "measured" else 2 * _scan_flops(width, rows)


def _powers_flops(model: ModelParameters) -> float:
    """The kernel of a state space in both directions, from powers of two states each, as `sum_of_powers` makes it."""
    if not _is_state_space(model):
        return 0.0
    size, blocks = _power_blocks(model)
    return 2 * model.width * (2 * blocks) * (2 * model.state_size) * size


def _power_blocks(model: ModelParameters) -> tuple[int, int]:
    """Size and number of the blocks that `sum_of_powers` cuts the rows into."""
    size = math.isqrt(_rows(model) - 1) + 1
    return size, -(-_rows(model) // size)


def _scan_flops(width: int, tokens: int) -> float:
    if tokens <= BLOCK:
        return 2 * width * tokens**2
    blocks = -(-tokens // BLOCK)
    return 2 * width * blocks * BLOCK**2 + _scan_flops(width, blocks)


# Memory, in rows of `width` numbers for one sample.


def _held(model: ModelParameters, wanted: int) -> float:
    """The graph of a segment."""
    if not wanted:
        return 0.0
    # Nothing needs the output of a last norm.
    unused = wanted if model.norm == "post" else 0
    return _entry(model) + (model.layers - 1) * _layer(model, _rows(model)) + _layer(model, wanted) - unused


def _peak(model: ModelParameters, wanted: int) -> float:
    """The graph of a segment, and gradients on their way through."""
    return _held(model, wanted) + _passing(model, wanted) if wanted else 0.0


def _held_layerwise(model: ModelParameters, wanted: int) -> float:
    """The last layer's graph, and what entered the layers before it."""
    if not wanted:
        return 0.0
    return _layer(model, wanted) + (_entry(model) if model.layers == 1 else (model.layers - 1) * _rows(model))


def _peak_layerwise(model: ModelParameters, wanted: int) -> float:
    """The same at the last layer or at the one before it, which hands rows on and is handed their gradient."""
    if not wanted:
        return 0.0
    rows = _rows(model)
    at_last = _held_layerwise(model, wanted) + _passing(model, wanted)
    if model.layers == 1:
        return at_last
    entered = _entry(model) if model.layers == 2 else (model.layers - 2) * rows
    handed_on = 2 * rows
    return max(at_last, entered + _layer(model, rows) + handed_on + _passing(model, rows))


def _entry(model: ModelParameters) -> float:
    """The rows that enter the first layer, and their dropout's mask."""
    return _rows(model) * (2 if model.dropout else 1)


def _layer(model: ModelParameters, wanted: int) -> float:
    """What one block keeps for its backward pass, what entered it apart."""
    sums, norms, masks = 2 * wanted, 2 * wanted, 2 * wanted if model.dropout else 0
    # Before and after their GELU.
    hidden = 2 * wanted * model.feed_forward_width / model.width
    return _mixing(model, wanted) + sums + norms + masks + hidden


def _mixing(model: ModelParameters, wanted: int) -> float:
    if _is_state_space(model):
        # Before and after the GELU; values and gates.
        return 2 * wanted + 2 * wanted
    key_value, query, read = 2 * _rows(model), wanted, wanted
    # Per head a (feature, value) memory, or the logarithm of each query's sum of exponentials.
    others = wanted * model.heads / model.width if model.family.attention == "softmax" else model.width / model.heads
    return key_value + query + read + others


def _passing(model: ModelParameters, wanted: int) -> float:
    """Gradients alive in the widest place of a segment's backward pass, less what it has let go of until then."""
    hidden = model.feed_forward_width / model.width
    # Of the rows, and of the hidden features before or after their GELU.
    feed_forward = (1 + hidden) * wanted
    let_go = (4 + 2 * hidden + (2 if model.dropout else 0)) * wanted
    # Residual; read; query, key and value, and once more joined; a state space has transforms of twice the length.
    attention = (2 + 2) * wanted + 4 * _rows(model) - let_go
    return max(feed_forward, attention)


def _shared_rows(model: ModelParameters) -> int:
    """phi(R) of all layers, or kernels over lags of both signs, which samples share."""
    if _is_state_space(model):
        # Poles, their exponentials and readers, complex and in both directions, on the way to each kernel.
        return model.layers * (2 * _rows(model) + 15 * model.state_size)
    return model.layers * _rows(model) if _has_positions(model) else 0


def _last_rows(model: ModelParameters) -> float:
    """What backward holds last beside them: gradients of all kernels of a state space, and the powers of one layer."""
    if not _is_state_space(model):
        return 0.0
    size, _ = _power_blocks(model)
    # Sizes, cosines and sines for starts and places; for both directions; as factors of a real product; gradients.
    powers = 15 * 2 * model.state_size * size
    return 2 * model.layers * _rows(model) + powers
