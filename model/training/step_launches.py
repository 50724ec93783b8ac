"""What a training step starts on a GPU: operators, and the bytes that they read and write.

A GPU takes microseconds to start a kernel, however little the kernel does, so the number of kernels bounds a small
model, not its arithmetic. The count needs no GPU: the step runs on torch's meta device, whose tensors have shapes and
no values. Every operator that writes memory is counted. It starts at least one kernel. Softmax attention counts as the
one operator that torch's fused kernel is, which keeps no scores.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from distill.tables import Tables
from model.memory.differentiation import Differentiation
from model.networks.build import build_model
from model.networks.parameters import ModelParameters
from model.training.method import differentiation
from model.training.parameters import TrainingParameters

WRITE_NOTHING = ("_unsafe_view", "detach", "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")
"""Operators that are no views, by torch's marks, and start no kernel."""


@dataclass(frozen=True)
class Launches:
    """Operators of one forward and backward pass, without the optimiser's."""

    operators: int
    bytes: int
    """sum over the operators of the tensors that they read and write, as if no cache held any"""


def count_launches(
    model: ModelParameters, tables: Tables, method: str, segments: int, batch: int = 1, keep: int = 1
) -> Launches:
    """Count a step of `model` on `batch` sequences of `segments` segments, in float32, differentiated by `method`.

    A pair of documents counts as two sequences. `method` is one of `model.training.plan.METHODS`, and `keep` the
    argument of `Amrb`. Each further segment adds the same, so a long sequence is counted as a line through two short
    ones.
    """
    way = differentiation(TrainingParameters(differentiation=method, keep_graphs=keep))
    first = min(segments, keep + 2)
    shorter = _count(model, tables, way, first, batch)
    if segments == first:
        return shorter
    longer = _count(model, tables, way, first + 1, batch)
    further = segments - first
    return Launches(
        shorter.operators + further * (longer.operators - shorter.operators),
        shorter.bytes + further * (longer.bytes - shorter.bytes),
    )


def _count(model: ModelParameters, tables: Tables, way: Differentiation, segments: int, batch: int) -> Launches:
    alone = {"separator": 0, "pair_head": "joined", "segments": segments}
    network = build_model(model.override(alone), tables).to("meta").train()
    rows = 2 * batch if model.separator else batch
    tokens = torch.ones((rows, segments * model.segment_length), dtype=torch.long, device="meta")
    lengths, labels = (torch.ones(rows, dtype=torch.long, device="meta") for _ in range(2))
    with _Counter() as counter:
        functional.cross_entropy(network(tokens, lengths, way), labels).backward()
    return Launches(counter.operators, counter.bytes)


class _Counter(TorchDispatchMode):
    """Counts the operators that torch dispatches in its context."""

    def __init__(self) -> None:
        super().__init__()
        self.operators = self.bytes = 0

    def __torch_dispatch__(
        self,
        operator: torch._ops.OpOverload,
        types: Any,
        arguments: tuple[Any, ...] = (),
        keywords: Mapping[str, Any] | None = None,
    ) -> Any:
        result = operator(*arguments, **(keywords or {}))
        if not operator.is_view and operator._opname not in WRITE_NOTHING:
            self.operators += 1
            self.bytes += sum(_bytes(leaf) for leaf in tree_leaves((arguments, keywords, result)))
        return result


def _bytes(leaf: Any) -> int:
    # An expanded tensor has more elements than memory.
    return min(leaf.nbytes, leaf.untyped_storage().nbytes()) if isinstance(leaf, Tensor) else 0
