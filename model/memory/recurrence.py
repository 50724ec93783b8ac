"""What a recurrence over segments is made of: segments, memory, the cell, and its stages."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

Segment = tuple[Tensor, ...]
Shared = tuple[Tensor, ...]
State = tuple[Tensor, ...]
Cell = Callable[[Segment, Tensor, Tensor, Shared], tuple[Tensor, Tensor]]
Stage = Callable[[State, Shared], State]


@runtime_checkable
class LayeredCell(Protocol):
    """A cell that can be recomputed layer by layer, as `LayerwiseAmrb` needs it."""

    def stages(self, segment: Segment, retention: Tensor) -> Sequence[Stage]:
        """What the cell does, in pieces: the first takes the state (memory,), the last gives (summary, memory).

        A stage is a function of its state, the shared tensors and the cell's parameters. What it does not hand on in
        its state, later stages do not see; tensors of a state that are not floating receive no gradient.
        """
        ...


def in_sequence(first: Stage, second: Stage) -> Stage:
    """The stage that does `first`, then `second`."""
    return lambda state, shared: second(first(state, shared), shared)
