"""Types of a recurrence over segments: segment, memory, cell and the stages of a cell.

    summary_t, memory_{t+1} = cell(segment_t, memory_t, retention_t, shared)

`model.memory.scan` states the contract of a cell.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

Segment = tuple[Tensor, ...]
"""Tensors without gradient, such as token ids and a mask."""
Shared = tuple[Tensor, ...]
"""Tensors that all segments of a step use."""
State = tuple[Tensor, ...]
"""Tensors between two stages: (memory,) before the first, (summary, memory) after the last."""
Cell = Callable[[Segment, Tensor, Tensor, Shared], tuple[Tensor, Tensor]]
Stage = Callable[[State, Shared], State]


@runtime_checkable
class LayeredCell(Protocol):
    """A cell that `LayerwiseAmrb` can recompute layer by layer."""

    def stages(self, segment: Segment, retention: Tensor) -> Sequence[Stage]:
        """The cell as a sequence of functions: the first takes the state (memory,), the last returns (summary, memory).

        A stage is a function of its state, the shared tensors and the cell's parameters. It must pass on in its state
        whatever later stages need. Tensors of a state that are not floating point receive no gradient.
        """
        ...


def in_sequence(first: Stage, second: Stage) -> Stage:
    """The stage that runs `first`, then `second`."""
    return lambda state, shared: second(first(state, shared), shared)
