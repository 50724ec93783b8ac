"""Predicted cost of a training step before it runs: parameters, memory and arithmetic, from formulas.

Why formulas, and not torch's FLOP counter with the sizes of saved tensors (measured with torch 2.13 on a CPU):

- The counter sees inside custom autograd functions, but only 40 to 73 % of the arithmetic with softmax attention: it
  has no entry for the CPU kernel.
- The counter raises inside a replay, where backward calls `torch.autograd.grad`.
- Saved tensors give the size of a graph (within 1 %) but not the peak. Gradients in flight and sums of gradients add 10
  to 140 %.
- Counting takes 5 to 9 s of processor time for the rows of `rmaat plan`, of which 1.8 s are `import torch`. The
  formulas need neither torch nor a model.

What depends on the operators and not on the sizes, `model.training.step_launches` counts on the meta device, on demand.
`tests/model/training/test_plan.py` compares the formulas with the counter, where it counts, and with the profiler.
"""

from dataclasses import dataclass

from model.errors import ModelError
from model.networks.parameters import ModelParameters
from model.training.parameter_count import parameter_count
from model.training.step_flops import forward_flops, training_flops
from model.training.step_memory import peak_bytes

METHODS = ("bptt", "amrb", "layerwise")
"""Methods that can be planned."""


@dataclass(frozen=True)
class Plan:
    """Cost of a training step of one model with one method of differentiation."""

    architecture: str
    method: str
    parameters: int
    megabytes: float
    """largest sum of tensors in addition to parameters, gradients and moments (10^6 bytes)"""
    forward_flops_per_token: float
    """a multiplication and an addition are two"""
    training_flops_per_token: float


def plan(model: ModelParameters, method: str, tokens: int, batch: int = 1, keep: int = 1) -> Plan:
    """Cost of a step of `model` on `batch` sequences of `tokens` tokens, in float32, differentiated by `method`.

    A pair of documents counts as two sequences of half the length. `keep` is the argument of `Amrb`.

    Raises
    ------
    ModelError
        `method` is not one of `METHODS`, or the sequence is longer than the model accepts.
    """
    if method not in METHODS:
        raise ModelError(f"rmaat plan does not support {method}; choose one of {', '.join(METHODS)}")
    rows, longest = (2 * batch, document_length(tokens)) if model.separator else (batch, tokens)
    if not 1 <= longest <= model.longest_sequence:
        each = " per document" if model.separator else ""
        raise ModelError(
            f"the model takes 1 to {model.longest_sequence} tokens{each}, not {longest}; set more segments"
        )
    segments = -(-longest // model.segment_length)
    forward, training = forward_flops(model, segments, rows), training_flops(model, method, segments, rows, keep)
    return Plan(
        model.architecture,
        method,
        parameter_count(model),
        peak_bytes(model, method, segments, rows, keep) / 1e6,
        forward / (tokens * batch),
        training / (tokens * batch),
    )


def document_length(tokens: int) -> int:
    """Tokens of each document of a pair, if both are equally long and the pair with its separator has `tokens`."""
    return tokens // 2
