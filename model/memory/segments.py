"""How the method of differentiation runs one segment of a recurrence; `model.memory.replay` runs them all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from model.memory.autocast import AutocastState
from model.memory.budget import measure_first_graph
from model.memory.differentiation import Amrb, LayerwiseAmrb, MemoryBudget, Truncated
from model.memory.graph import Leaves, SegmentGraph, run_layers, run_with_graph
from model.memory.recurrence import LayeredCell, Segment, Shared, State
from model.memory.summaries import Form, Summary, count_tensors, form_of, rebuilt, tensors_in


@dataclass(frozen=True)
class Recurrence:
    """A cell, its inputs without gradient, and the method to differentiate it."""

    cell: nn.Module
    places: dict[str, int]
    """for each name of a parameter or buffer of the cell, its index among the tensors of the cell"""
    segments: Sequence[Segment]
    retention: Sequence[Tensor] | Tensor
    method: Amrb | LayerwiseAmrb | MemoryBudget | Truncated
    shared_count: int
    learned: Sequence[int | None] = ()
    """for each segment, the index of its retention factor among those that require a gradient; empty if none does"""
    forms: dict[int, Form] = field(default_factory=dict)
    """the form of each summary, known once its segment has run"""

    @property
    def learned_count(self) -> int:
        """The number of retention factors that require a gradient."""
        return len(set(self.learned) - {None})

    def with_factors(self, factors: Sequence[Tensor]) -> "Recurrence":
        """This recurrence with `factors` in place of those that require a gradient."""
        if not factors:
            return self
        pairs = zip(self.retention, self.learned, strict=True)
        return replace(self, retention=[own if place is None else factors[place] for own, place in pairs])

    def inputs(self) -> Iterator[Tensor]:
        """Tensors without gradient that a replay reads again."""
        for segment in self.segments:
            yield from segment
        yield from self.retention

    def run(self, index: int, memory: Tensor, shared: Shared) -> State:
        """Tensors of the summary of segment `index`, and the next memory."""
        return self._flat(index, *self.cell(self.segments[index], memory, self.retention[index], shared))

    def run_with_graph(self, index: int, memory: Tensor, leaves: Leaves, autocast: AutocastState) -> SegmentGraph:
        """Run segment `index` so that it can be differentiated."""
        leaves = leaves.of_segment(self.retention[index])
        if not isinstance(self.method, LayerwiseAmrb):
            return run_with_graph(lambda state, shared: self.run(index, state[0], shared), (memory,), leaves)
        assert isinstance(self.cell, LayeredCell)
        *stages, last = self.cell.stages(self.segments[index], self.retention[index])
        stages.append(lambda state, shared: self._flat(index, *last(state, shared)))
        return run_layers(stages, memory, leaves, autocast, self.method.check)

    def first_graph_and_keep(
        self, memory: Tensor, leaves: Leaves, autocast: AutocastState
    ) -> tuple[SegmentGraph | None, int]:
        """The number of graphs to keep; with the first segment's graph if a memory budget measured and keeps it."""
        if isinstance(self.method, MemoryBudget):
            return measure_first_graph(
                self.method,
                lambda: self.run_with_graph(0, memory, leaves, autocast),
                memory,
                leaves.all,
                len(self.segments),
            )
        return None, self.method.keep

    def cuts_gradient_before(self, index: int) -> bool:
        """Whether truncation stops the gradient at the memory before segment `index`."""
        return (
            isinstance(self.method, Truncated)
            and index > 0
            and (len(self.segments) - index) % self.method.segments == 0
        )

    def summary_tensors(self, index: int) -> int:
        """The number of tensors in the summary of segment `index`."""
        return count_tensors(self.forms[index])

    def rebuild(self, tensors: Sequence[Tensor]) -> list[Any]:
        """The summaries made of their `tensors`."""
        remaining = iter(tensors)
        return [rebuilt(self.forms[index], remaining) for index in range(len(self.segments))]

    def _flat(self, index: int, summary: Summary, memory: Tensor) -> State:
        tensors = tensors_in(summary)
        self.forms[index] = form_of(summary)
        return (*tensors, memory)
