"""What a model will cost before it runs: parameters, memory and arithmetic of a training step, from formulas.

Tensors are counted in rows of `width` numbers, a term for each thing that a block keeps for its backward pass; so a
block that keeps less changes one term here. Needs no torch.
"""

from dataclasses import dataclass

from model.errors import ModelError
from model.parameters import ModelParameters

WAYS = ("bptt", "amrb", "layerwise")
FLOAT_BYTES = 4

# What astromorphic attention keeps beyond query, key and value: features of both, and the parts that they are made of.
FEATURE_ROWS = 7
# Gradients alive in the widest place of a block's backward pass: of the hidden features before and after their GELU.
HIDDEN_GRADIENTS = 2


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

    Raises
    ------
    ModelError
        The way is unknown, or the sequence is longer than the model takes.
    """
    if way not in WAYS:
        raise ModelError(f"{way} is no way to differentiate that can be planned; choose one of {', '.join(WAYS)}")
    if not 1 <= tokens <= model.longest_sequence:
        raise ModelError(f"the model takes 1 to {model.longest_sequence} tokens, not {tokens}; set more segments")
    segments = -(-tokens // model.segment_length)
    forward = forward_flops(model, segments, batch) / (tokens * batch)
    return Plan(
        model.architecture,
        way,
        parameter_count(model),
        peak_bytes(model, way, segments, batch, keep) / 1e6,
        forward,
        forward * _passes(model, way, segments, keep),
    )


def parameter_count(model: ModelParameters) -> int:
    """All learned numbers of `model`."""
    width, rows = model.width, _rows(model)
    attention = 4 * width * (width + 1) + (width * rows if model.architecture == "rmaat" else 0)
    feed_forward = 2 * width * model.feed_forward_width + model.feed_forward_width + width
    norms = 2 * 2 * width
    final_norm = 2 * width if model.norm == "pre" else 0
    embedding = (model.vocabulary + rows) * width
    memory, head = model.memory_tokens * width, (width + 1) * model.classes
    return embedding + memory + head + final_norm + model.layers * (attention + feed_forward + norms)


def forward_flops(model: ModelParameters, segments: int, batch: int = 1) -> float:
    """Products of matrices in one forward pass; the rest is of order `width` per row."""
    width, rows = model.width, _rows(model)
    projections = 2 * 4 * width * width
    feed_forward = 2 * 2 * width * model.feed_forward_width
    # Writing and reading a (feature, value) memory per head, or scores and their products with the values.
    mixing = 4 * width * width / model.heads if model.architecture == "rmaat" else 4 * rows * width
    blocks = batch * segments * rows * model.layers * (projections + feed_forward + mixing)
    return blocks + model.layers * _position_flops(model)


def peak_bytes(model: ModelParameters, way: str, segments: int, batch: int = 1, keep: int = 1) -> float:
    """Highest sum of tensors above parameters, gradients and moments."""
    layer = batch * _rows(model) * model.width * _rows_kept(model)
    entry = batch * _rows(model) * model.width * (2 if model.dropout else 1)
    graph = model.layers * layer + entry
    gradients = batch * _rows(model) * model.feed_forward_width * HIDDEN_GRADIENTS
    memories = segments * batch * model.memory_tokens * model.width
    # Sums of all parameters' gradients, and the part of one segment.
    sums = 2 * parameter_count(model)
    held = {
        "bptt": segments * graph,
        "amrb": min(segments, max(keep, 1)) * graph + memories + sums,
        "layerwise": layer + (model.layers - 1 + keep * model.layers) * entry + memories + sums,
    }[way]
    return FLOAT_BYTES * (held + gradients + model.layers * _position_numbers(model))


def _rows(model: ModelParameters) -> int:
    return model.memory_tokens + model.segment_length


def _rows_kept(model: ModelParameters) -> float:
    """What one block keeps per row for its backward pass, in rows of `width`."""
    entered, joined, summed, normed, summed_again = 1, 1, 1, 1, 1
    query_key_value = 3
    hidden = 2 * model.feed_forward_width / model.width
    masks = 2 if model.dropout else 0
    features = FEATURE_ROWS if model.architecture == "rmaat" else 0
    return entered + query_key_value + features + joined + summed + normed + hidden + summed_again + masks


def _position_numbers(model: ModelParameters) -> int:
    """What phi(R) keeps per layer: the matrix of distances, and W, W r, R and its features."""
    rows = _rows(model)
    return rows * rows + 4 * rows * model.width if model.architecture == "rmaat" else 0


def _position_flops(model: ModelParameters) -> float:
    """W r, (W r) W^T and its product with W, once a step."""
    rows, width = _rows(model), model.width
    return 2 * width * rows * rows + 4 * rows * width * width / model.heads if model.architecture == "rmaat" else 0.0


def _passes(model: ModelParameters, way: str, segments: int, keep: int) -> float:
    """Forward passes that a training step amounts to; backward is two."""
    replayed = 1 - min(keep, segments) / segments
    return {
        "bptt": 3.0,
        "amrb": 3 + replayed,
        "layerwise": 3 + replayed + (1 - 1 / model.layers),
    }[way]
