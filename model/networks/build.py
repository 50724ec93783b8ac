"""Build networks from their parameters and the distilled tables: `build_model` and `build_language_model`."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from distill.tables import Tables
from model.errors import ModelError
from model.layers.attention import AstromorphicAttention, RelativePositions, SoftmaxAttention
from model.layers.causal import CausalAttention
from model.layers.causal_softmax import CausalSoftmaxAttention
from model.layers.mixing import CausalMixing, Mixing
from model.layers.positions import ExponentialKernel, LearnedExponentialKernel, MeasuredKernel, shuffled_decay
from model.layers.state_space import StateSpace
from model.memory.learned_retention import LearnedFactors
from model.memory.retention import build_retention, factors_without_length
from model.networks.classifier import SegmentClassifier
from model.networks.language_model import LanguageModel
from model.networks.pairs import PairClassifier
from model.networks.parameters import ModelParameters

AnyAstromorphic = TypeVar("AnyAstromorphic", bound=AstromorphicAttention)


def build_model(parameters: ModelParameters, tables: Tables) -> SegmentClassifier:
    """A classifier with the given `parameters`, and retention factors, exponent and decay from `tables`.

    With a `separator` it is a `PairClassifier`.

    Raises
    ------
    distill.tables.TableError
        The tables lack the variant or the number of segments; the message gives the command that adds them. Or they
        leave out the exponent or the influence that the model needs; the message gives the reason.
    """
    variant = parameters.retention if parameters.family.retains else "none"
    retention = build_retention(tables, parameters.segments, variant)
    kind = PairClassifier if parameters.separator else SegmentClassifier
    return kind(parameters, [_attention(parameters, tables) for _ in range(parameters.layers)], retention)


def _attention(parameters: ModelParameters, tables: Tables) -> Mixing:
    rows = parameters.segment_rows
    if parameters.family.attention == "softmax":
        return SoftmaxAttention(parameters.width, parameters.heads)
    if parameters.family.attention == "state_space":
        return StateSpace(parameters.width, parameters.state_size, rows)
    if parameters.family.attention not in ("astromorphic", "linear"):
        raise ModelError(
            f"no module for attention {parameters.family.attention!r}; build it in model/networks/build.py"
        )
    return linear_time_attention(AstromorphicAttention, parameters, tables, rows)


def linear_time_attention(
    kind: type[AnyAstromorphic], parameters: ModelParameters, tables: Tables, rows: int
) -> AnyAstromorphic:
    """Astromorphic or linear attention over `rows` rows, plain or causal by its `kind`."""
    width, heads = parameters.width, parameters.heads
    if parameters.family.attention == "linear":
        return kind(width, heads, None, 1.0, 1.0, parameters.read)

    def decay() -> float:
        # Read only by the kernels that need it: tables may leave the influence out.
        return parameters.decay_factor * tables.decay_per_token

    kernels: dict[str, Callable[[], nn.Module]] = {
        "decaying": lambda: ExponentialKernel(decay()),
        "learned": lambda: LearnedExponentialKernel(decay()),
        "measured": lambda: MeasuredKernel(torch.from_numpy(tables.decay_kernel(rows)).float()),
        "identity": nn.Identity,
        "random": lambda: MeasuredKernel(shuffled_decay(rows, decay())),
    }
    make_kernel = kernels.get(parameters.relative_positions)
    exponent = _exponent(parameters, tables)
    return kind(
        width,
        heads,
        RelativePositions(width, heads, rows, make_kernel()) if make_kernel else None,
        nn.Parameter(torch.tensor(exponent)) if parameters.exponent == "learned" else exponent,
        1.0 if parameters.write_scale == "one" else None,
        parameters.read,
        parameters.plasticity_count,
    )


def _exponent(parameters: ModelParameters, tables: Tables) -> float:
    if isinstance(parameters.exponent, float):
        return parameters.exponent
    return 1.0 if parameters.exponent == "one" else tables.exponent


def build_language_model(parameters: ModelParameters, tables: Tables) -> LanguageModel:
    """A language model with the given `parameters`, and retention factors, exponent and decay from `tables`.

    An architecture that is not recurrent reads the whole text as one segment (`ModelParameters.as_architecture`).

    Raises
    ------
    ModelError
        The architecture has no causal form, the retention factor depends on the number of segments, or rows of tokens
        depend on later ones.
    distill.tables.TableError
        The tables lack the variant or the number of segments; the message gives the command that adds them.
    """
    if parameters.family.attention == "state_space":
        raise ModelError(
            f"{parameters.architecture} has no causal form here; use rmaat, rmt, rlt or linear_transformer"
        )
    if parameters.pixel_patch > 1:
        raise ModelError("a patch of pixels reads later pixels, which a language model predicts; set pixel_patch to 1")
    if parameters.word_buckets:
        raise ModelError("a language model reads no whole words; set word_buckets to 0, and ngrams instead")
    if isinstance(parameters.row_block, int):
        raise ModelError("a language model computes its rows in blocks of its own; leave row_block at automatic")
    variant = parameters.retention if parameters.family.retains else "none"
    retention = build_retention(tables, parameters.segments, variant)
    if not isinstance(retention, LearnedFactors):
        retention = factors_without_length(retention, variant)
    attentions = [_causal_attention(parameters, tables) for _ in range(parameters.layers)]
    return LanguageModel(parameters, attentions, retention)


def _causal_attention(parameters: ModelParameters, tables: Tables) -> CausalMixing:
    rows = 2 * parameters.memory_tokens + parameters.segment_length
    if parameters.family.attention == "softmax":
        return CausalSoftmaxAttention(parameters.width, parameters.heads, rows, parameters.memory_tokens)
    return linear_time_attention(CausalAttention, parameters, tables, rows)
