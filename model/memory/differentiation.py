"""Ways to differentiate a recurrence over segments, as values."""

from dataclasses import dataclass

from model.errors import ModelError


@dataclass(frozen=True)
class Bptt:
    """Backpropagation through time: the graph of every segment is kept."""


@dataclass(frozen=True)
class Amrb:
    """Memory replay: only memory tokens are kept, and the graphs of the last `keep` segments."""

    keep: int = 1

    def __post_init__(self) -> None:
        _check_keep(self.keep)


@dataclass(frozen=True)
class LayerwiseAmrb:
    """Memory replay that also replays each layer: of the last `keep` segments, it keeps what enters each layer.

    The cell must be a `LayeredCell`.
    """

    keep: int = 1

    def __post_init__(self) -> None:
        _check_keep(self.keep)


@dataclass(frozen=True)
class MemoryBudget:
    """Memory replay that keeps as many graphs as fit into `megabytes` (10^6 bytes).

    The budget is for what a step holds above parameters, gradients and moments. The graph of the first segment is
    measured before the others, which costs one segment's forward pass where not all graphs fit. One graph's share of
    the budget is left free, for what the backward pass of a segment allocates. Where all fit, this costs what `Bptt`
    does.
    """

    megabytes: float

    def __post_init__(self) -> None:
        if not self.megabytes > 0:
            raise ModelError(f"a memory budget of {self.megabytes:g} MB was given; it must be above 0")

    def keep(self, graph_bytes: int, other_bytes: int, segments: int) -> int:
        """How many of `segments` graphs of `graph_bytes` fit beside `other_bytes`, at least one.

        Raises
        ------
        ModelError
            Not even one fits.
        """
        available = self.megabytes * 1e6 - other_bytes
        fit = int(available // max(graph_bytes, 1)) - 1
        if fit < 1:
            needed = (2 * graph_bytes + other_bytes) / 1e6
            raise ModelError(
                f"a memory budget of {self.megabytes:g} MB is less than the {needed:.1f} MB that one segment takes; "
                "raise it, make segments shorter, or use LayerwiseAmrb"
            )
        return min(fit, segments)


@dataclass(frozen=True)
class Truncated:
    """The gradient of each stretch of `segments` segments, by replay; the last stretch ends with the sequence.

    Memory enters a stretch without a gradient, so that the last segment's loss reaches `segments` segments, itself
    included. The first stretch is shorter where the number of segments is no multiple.
    """

    segments: int
    keep: int = 1

    def __post_init__(self) -> None:
        _check_keep(self.keep)
        if self.segments < 1:
            raise ModelError(f"the gradient is to stop after {self.segments} segments; it must reach at least 1")


Differentiation = Bptt | Amrb | LayerwiseAmrb | MemoryBudget | Truncated


def _check_keep(keep: int) -> None:
    if keep < 0:
        raise ModelError(f"AMRB is to keep {keep} graphs; it must be 0 or more")
