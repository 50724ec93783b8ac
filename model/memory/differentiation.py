"""Methods to differentiate a recurrence over segments; `scan` takes one as its last argument.

For T segments and L layers, with an activation = the tensors that autograd saves, and backward = 2 x forward:

    method            gradient             activations held             time / that of Bptt
    Bptt              exact                T segments                   1
    Amrb(keep)        exact                max(keep, 1) segments        (4 - keep / T) / 3
    MemoryBudget(MB)  exact                as many segments as fit      1 to (4 - 1 / T) / 3
    LayerwiseAmrb     exact                one layer of one segment     (5 - 1 / L) / 3
    Truncated(k)      of k segments        one segment                  at most that of Amrb

All but `Bptt` also hold the T memories, and recompute segments in backward: see `model.memory.replay`. They have the
setting `check`: backward compares each segment that it recomputes with the first run, bit by bit, and raises
`ModelError` if they differ. It holds a copy of all summaries and memories.
"""

from dataclasses import dataclass

from model.errors import ModelError


@dataclass(frozen=True)
class Bptt:
    """Backpropagation through time: keep the graph of every segment."""


@dataclass(frozen=True)
class Amrb:
    """Memory replay: keep the memory tokens, and the graphs of the last `keep` segments."""

    keep: int = 1
    check: bool = False

    def __post_init__(self) -> None:
        _check_keep(self.keep)


@dataclass(frozen=True)
class LayerwiseAmrb:
    """Memory replay that recomputes each layer too: of the last `keep` segments it keeps the input of each layer.

    The cell must be a `LayeredCell`.
    """

    keep: int = 1
    check: bool = False

    def __post_init__(self) -> None:
        _check_keep(self.keep)


@dataclass(frozen=True)
class MemoryBudget:
    """Memory replay that keeps as many graphs as fit into `megabytes` (10^6 bytes).

    The budget is for what a step holds in addition to parameters, gradients and moments. The first segment's graph is
    measured before the others run. If not all graphs fit, that costs one more forward pass of one segment; if all fit,
    a step costs the same as with `Bptt`. The size of one graph is left free for temporary tensors of backward.
    """

    megabytes: float
    check: bool = False

    def __post_init__(self) -> None:
        if not self.megabytes > 0:
            raise ModelError(f"the memory budget is {self.megabytes:g} MB; it must be above 0")

    def keep(self, graph_bytes: int, other_bytes: int, segments: int) -> int:
        """How many of `segments` graphs of `graph_bytes` each fit in addition to `other_bytes`; at least one.

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
    """Truncated backpropagation: the gradient stays within stretches of `segments` segments, each replayed.

    Stretches are counted from the end of the sequence, so the loss of the last segment reaches `segments` segments,
    itself included. The first stretch is shorter if the number of segments is no multiple.
    """

    segments: int
    keep: int = 1
    check: bool = False

    def __post_init__(self) -> None:
        _check_keep(self.keep)
        if self.segments < 1:
            raise ModelError(f"the gradient stops after {self.segments} segments; it must reach at least 1")


Differentiation = Bptt | Amrb | LayerwiseAmrb | MemoryBudget | Truncated


def _check_keep(keep: int) -> None:
    if keep < 0:
        raise ModelError(f"keep is {keep} graphs; it must be 0 or more")
