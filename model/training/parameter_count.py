"""Number of learned parameters of a model, from its settings alone: no model is built."""

from model.networks.parameters import ModelParameters


def parameter_count(model: ModelParameters) -> int:
    """Number of learned parameters of `model`."""
    width = model.width
    attention = (
        _state_space_parameters(model) if model.family.attention == "state_space" else _attention_parameters(model)
    )
    feed_forward = 2 * width * model.feed_forward_width + model.feed_forward_width + width
    norms = 2 * 2 * width
    final_norm = 2 * width if model.norm == "pre" else 0
    local = width * model.local_mixing * len(model.local_dilations) + 2 * width * model.has_local_norm
    vectors = model.vocabulary if model.pixels == "embedded" else model.pixel_patch**2 + 1
    vectors += (model.ngram_buckets if model.ngrams else 0) + model.word_buckets
    embedding = (vectors + model.segment_length * (model.position_embedding == "learned")) * width
    memory = model.memory_tokens * width + (2 * width if model.memory_norm else 0) + _retention_parameters(model)
    return (
        embedding + memory + _head_size(model) + final_norm + model.layers * (attention + feed_forward + norms + local)
    )


def _retention_parameters(model: ModelParameters) -> int:
    counts = {"learned": model.segments, "learned_rate": 1, "learned_stretch": 2, "learned_saturation": model.segments}
    return counts.get(model.retention, 0)


def _attention_parameters(model: ModelParameters) -> int:
    width = model.width
    positions = width * model.segment_rows + (model.relative_positions == "learned") if model.has_positions else 0
    return 4 * width * (width + 1) + positions + (model.exponent == "learned")


def _state_space_parameters(model: ModelParameters) -> int:
    # Per state: a complex pole and a complex C for each direction. Per feature: step and skip. Then the projection.
    return model.width * (6 * model.state_size + 2) + 2 * model.width * (model.width + 1)


def _head_size(model: ModelParameters) -> int:
    if not model.separator:
        return (model.width + 1) * model.classes
    hidden, half = model.pair_head_widths
    return (model.pair_features + 1) * hidden + (hidden + 1) * half + (half + 1) * model.classes
