"""Peak memory of a training step, in rows of `width` numbers, with one term for each tensor that a block saves.

A block that saves less for backward changes one term here. Rows that the readout does not need are not computed, and
not counted.
"""

from model.networks.parameters import ModelParameters
from model.training.parameter_count import parameter_count
from model.training.step_flops import power_blocks, wanted_rows

FLOAT_BYTES = 4
MASK = 1 / FLOAT_BYTES
"""A dropout mask, of one byte per feature, in rows."""


def peak_bytes(model: ModelParameters, method: str, segments: int, batch: int = 1, keep: int = 1) -> float:
    """Largest sum of tensors (bytes) that a step holds in addition to parameters, gradients and moments."""
    if model.rows_at_once:
        return _peak_bytes_in_blocks(model, method, segments, batch, keep)
    # Backward starts with the last segment, kept or replayed, when no sums of gradients exist yet.
    first = segments if method == "bptt" else min(max(keep, 1), segments)
    wanted = wanted_rows(model, segments)
    kept, replayed = wanted[segments - first :], wanted[: segments - first]
    held, step_peak = (_held_layerwise, _peak_layerwise) if method == "layerwise" else (_held, _peak)
    before = sum(held(model, rows) for rows in kept[:-1])
    # Sums of gradients exist from the second segment of the backward pass on.
    sums = parameter_count(model) / (batch * model.width) if method != "bptt" else 0.0
    next_kept = before - held(model, kept[-2]) + step_peak(model, kept[-2]) if before else 0.0
    earlier = max([next_kept] + [step_peak(model, rows) for rows in replayed])
    most = max(before + step_peak(model, kept[-1]), earlier + sums)
    memories = 0 if method == "bptt" else segments * model.memory_tokens
    segment_rows = batch * (most + memories)
    return FLOAT_BYTES * model.width * (_shared_rows(model) + max(segment_rows, _last_rows(model)))


def _peak_bytes_in_blocks(model: ModelParameters, method: str, segments: int, batch: int, keep: int) -> float:
    """As `peak_bytes`, with rows computed in blocks: the peak lies late, when sums of gradients exist."""
    kept = segments if method == "bptt" else min(max(keep, 1), segments)
    wanted = wanted_rows(model, segments)
    held = [_held(model, rows) for rows in wanted]
    passing = max(_passing_in_blocks(model, rows) for rows in wanted)
    # Either the last segment's first layer after all others, or a whole segment replayed.
    before, replayed = sum(held[segments - kept : -1]), max(held[: segments - kept], default=0.0)
    # Layer by layer, the rows after a layer exist again beside it.
    passing += model.segment_rows if method == "layerwise" else 0
    memories = 0 if method == "bptt" else segments * model.memory_tokens
    # Replay adds up the gradients of a layer before it adds them to those of other segments.
    sums = parameter_count(model) / model.width * (1 if method == "bptt" else 1 + 1 / model.layers)
    # W^T is a parameter; phi(R) exists for one block of rows.
    shared = _shared_rows(model)
    activations = max(before + max(held[-1] - _layer(model, wanted[-1]), _entry(model)), replayed)
    return FLOAT_BYTES * model.width * (shared + sums + batch * (activations + passing + memories))


def _held(model: ModelParameters, wanted: int) -> float:
    """Rows in the graph of one sample's segment."""
    if not wanted:
        return 0.0
    # Backward does not need the output of the last norm.
    unused = wanted if model.norm == "post" else 0
    return _entry(model) + (model.layers - 1) * _layer(model, model.segment_rows) + _layer(model, wanted) - unused


def _peak(model: ModelParameters, wanted: int) -> float:
    """The graph of a segment and the gradients in flight."""
    return _held(model, wanted) + _passing(model, wanted) if wanted else 0.0


def _held_layerwise(model: ModelParameters, wanted: int) -> float:
    """The last layer's graph and the inputs of the layers before it."""
    if not wanted:
        return 0.0
    return _layer(model, wanted) + (_entry(model) if model.layers == 1 else (model.layers - 1) * model.segment_rows)


def _peak_layerwise(model: ModelParameters, wanted: int) -> float:
    """Inputs, one layer's graph and gradients in flight: at the last layer, or at the one before it if that is more."""
    if not wanted:
        return 0.0
    rows = model.segment_rows
    at_last = _held_layerwise(model, wanted) + _passing(model, wanted)
    if model.layers == 1:
        return at_last
    inputs = _entry(model) if model.layers == 2 else (model.layers - 2) * rows
    # The rows that this layer passes on, and their gradient.
    output = 2 * rows
    return max(at_last, inputs + _layer(model, rows) + output + _passing(model, rows))


def _entry(model: ModelParameters) -> float:
    """The input of the first layer and its dropout mask."""
    return model.segment_rows * (1 + MASK if model.dropout else 1)


def _layer(model: ModelParameters, wanted: int) -> float:
    """What one block saves for backward, without its input."""
    sums, norms, masks = 2 * wanted, 2 * wanted, 2 * MASK * wanted if model.dropout else 0
    # Before and after the GELU.
    hidden = 2 * wanted * model.feed_forward_width / model.width
    if model.rows_at_once:
        # The rows after it, the sums, and the input of the local mixing.
        return wanted + model.width / model.heads + (model.segment_length if model.local_mixing else 0)
    return _local(model) + _mixing(model, wanted) + sums + norms + masks + hidden


def _local(model: ModelParameters) -> float:
    """The tokens that a local mixing saves; the mixed rows take the place of the block's input."""
    if not model.local_mixing:
        return 0.0
    reach = (model.local_mixing - 1) * max(model.local_dilations) if model.local_side == "past" else 0
    return model.segment_length + reach


def _mixing(model: ModelParameters, wanted: int) -> float:
    if model.family.attention == "state_space":
        # Before and after the GELU; values and gates of the gated linear unit.
        return 2 * wanted + 2 * wanted
    key_value, query, read = 2 * model.segment_rows, wanted, wanted
    # Softmax saves one logarithm per query and head, the other kinds a (feature, value) memory per head.
    others = wanted * model.heads / model.width if model.family.attention == "softmax" else model.width / model.heads
    return key_value + query + read + others


def _passing(model: ModelParameters, wanted: int) -> float:
    """Rows of gradients at the peak of a segment's backward pass, minus the buffers freed by then."""
    hidden = model.feed_forward_width / model.width
    # Gradients of the rows, and of the hidden features before or after the GELU.
    feed_forward = (1 + hidden) * wanted
    freed = (4 + 2 * hidden + (2 * MASK if model.dropout else 0)) * wanted
    # Residual; read; query, key and value, separately and joined. A state space has transforms of twice the length.
    attention = (2 + 2) * wanted + 4 * model.segment_rows - freed
    return max(feed_forward, attention)


def _passing_in_blocks(model: ModelParameters, wanted: int) -> float:
    """Gradients of the rows after and before a layer, and the graph of a block of rows."""
    rows, hidden = model.segment_rows, model.feed_forward_width / model.width
    gradients = wanted + rows * (1 + (model.local_mixing > 0 and model.local_into == "mixing"))
    # Query, its features, read; sums, norms, masks; before and after the GELU; and the gradients of the last two.
    graph = 4 + 2 + 2 + (2 * MASK if model.dropout else 0) + 2 * hidden + 1 + hidden
    return gradients + min(model.rows_at_once, wanted) * graph


def _shared_rows(model: ModelParameters) -> int:
    """phi(R) of all layers, or the kernels of a state space; all samples share them."""
    if model.family.attention == "state_space":
        # The kernels, over lags of both signs; and poles, exponentials and C, complex, from which each is made.
        return model.layers * (2 * model.segment_rows + 15 * model.state_size)
    return model.layers * model.segment_rows if model.has_positions else 0


def _last_rows(model: ModelParameters) -> float:
    """What backward of a state space holds at its end: gradients of all kernels, and the powers of one layer."""
    if model.family.attention != "state_space":
        return 0.0
    size, _ = power_blocks(model)
    # Counted in `sum_of_powers`: sizes, cosines, sines, complex and real factors, and their gradients.
    powers = 15 * 2 * model.state_size * size
    return 2 * model.layers * model.segment_rows + powers
