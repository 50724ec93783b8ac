"""What a replay cannot differentiate raises an error instead of giving a wrong gradient."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model.errors import ModelError
from model.memory.differentiation import Amrb, Bptt, LayerwiseAmrb, MemoryBudget, Truncated
from model.memory.scan import scan

SEGMENTS = 4
CHECKED = [
    Amrb(0, check=True), Amrb(1, check=True), LayerwiseAmrb(0, check=True), LayerwiseAmrb(1, check=True),
    MemoryBudget(0.0056, check=True), Truncated(SEGMENTS, check=True), Truncated(2, check=True),
]  # fmt: skip
REPLAYS = [
    Amrb(0), Amrb(1), Amrb(SEGMENTS), LayerwiseAmrb(0), LayerwiseAmrb(1), MemoryBudget(0.0056), MemoryBudget(10.0),
    Truncated(SEGMENTS),
]  # fmt: skip


class Cell(nn.Module):
    """Two stages around `noise`, which subclasses define."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)

    def noise(self, rows: Tensor) -> Tensor:
        return nn.functional.dropout(rows, 0.3)

    def forward(self, segment, memory, retention, shared):
        state = (memory,)
        for stage in self.stages(segment, retention):
            state = stage(state, shared)
        return state

    def stages(self, segment, retention):
        def enter(state, shared):  # noqa: ARG001
            return (self.noise(self.first(state[0] + segment[0]).tanh()),)

        def leave(state, shared):  # noqa: ARG001
            rows = self.second(state[0])
            return self.summary(rows), retention * rows

        return [enter, leave]

    def summary(self, rows):
        return rows.square().sum(dim=1)


def run(cell, way, segments=SEGMENTS):
    torch.manual_seed(1)
    memory = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(3, 8)
    parts = [(torch.full((3, 8), 0.1 * index, dtype=torch.float64),) for index in range(segments)]
    return scan(cell, parts, memory, torch.full((segments,), 0.8, dtype=torch.float64), (), way)


def make(kind=Cell):
    torch.manual_seed(0)
    return kind().double()


def gradients(cell, way, loss=lambda summaries: torch.stack(summaries).sum()):
    summaries, _ = run(cell, way)
    return torch.autograd.grad(loss(summaries), list(cell.parameters()))


def assert_same_bits(found, expected):
    assert all(torch.equal(one, other) and bool(one.any()) for one, other in zip(found, expected, strict=True))


class OwnGenerator(Cell):
    def __init__(self):
        super().__init__()
        self.generator = torch.Generator().manual_seed(3)

    def noise(self, rows):
        return rows + torch.randn(rows.shape, generator=self.generator, dtype=rows.dtype)


class FromNumpy(Cell):
    def __init__(self):
        super().__init__()
        self.generator = np.random.default_rng(3)

    def noise(self, rows):
        return rows + torch.from_numpy(self.generator.normal(size=rows.shape))


class Counting(Cell):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def noise(self, rows):
        self.calls += 1
        return rows * self.calls


@pytest.mark.parametrize("way", CHECKED, ids=repr)
@pytest.mark.parametrize("kind", [OwnGenerator, FromNumpy, Counting])
def test_check_refuses_a_cell_that_gives_another_result_when_it_is_replayed(kind, way):
    with pytest.raises(ModelError, match=r"another result than the forward pass.*own torch\.Generator, from NumPy"):
        gradients(make(kind), way)


@pytest.mark.parametrize("way", CHECKED, ids=repr)
def test_check_changes_no_gradient_of_a_cell_that_can_be_replayed(way):
    without = type(way)(**{name: value for name, value in vars(way).items() if name != "check"})
    assert_same_bits(gradients(make(), way), gradients(make(), without))


def test_check_names_the_segment_that_differs():
    summaries, _ = run(make(OwnGenerator), Amrb(1, check=True))
    # The last segment keeps its graph, so that the one before it is the first to run again.
    with pytest.raises(ModelError, match=f"the replay of segment {SEGMENTS - 1} gave another result"):
        summaries[-1].sum().backward()


def test_check_compares_each_recomputed_stage_with_the_kept_segment():
    cell = make(OwnGenerator)
    summaries, _ = run(cell, LayerwiseAmrb(1, check=True), segments=1)
    with pytest.raises(ModelError, match="the replay of stage 1 of a segment gave another result"):
        summaries[0].sum().backward()


def test_check_accepts_results_that_are_not_a_number():
    class Dividing(Cell):
        def noise(self, rows):
            return rows / 0 * 0

    summaries, _ = run(make(Dividing), Amrb(0, check=True))
    assert summaries[0].isnan().all()
    summaries[0].sum().backward()


class Unregistered(Cell):
    """A cell that hides a module in a list."""

    def __init__(self):
        super().__init__()
        self.hidden = [nn.Linear(8, 8, bias=False, dtype=torch.float64)]

    def noise(self, rows):
        return self.hidden[0](rows)


class Closure(Cell):
    """A cell that uses a tensor computed outside from a parameter."""

    def __init__(self):
        super().__init__()
        root = torch.ones(8, 8, dtype=torch.float64, requires_grad=True)
        self.outside = (root.sin(),)

    def noise(self, rows):
        return rows @ self.outside[0]


@pytest.mark.parametrize("way", REPLAYS, ids=repr)
@pytest.mark.parametrize("kind", [Unregistered, Closure])
def test_a_tensor_with_gradient_that_is_not_the_cells_own_is_refused(kind, way):
    with pytest.raises(ModelError, match=r"tensor of shape \(8, 8\) that requires a gradient and is not its own"):
        gradients(make(kind), way)
    # Frozen, it needs no gradient.
    cell = make(Unregistered)
    cell.hidden[0].requires_grad_(False)
    assert_same_bits(gradients(cell, way), gradients(cell, Bptt()))


class Failing(Cell):
    """A cell that fails in the replay of the second segment."""

    def noise(self, rows):
        self.runs = getattr(self, "runs", 0) + 1
        if self.runs == SEGMENTS + 3:
            raise ValueError("no more")
        return super().noise(rows)


@pytest.mark.parametrize("way", [Amrb(0), LayerwiseAmrb(0), Truncated(SEGMENTS, keep=0)], ids=repr)
def test_after_an_error_in_a_replay_the_random_state_and_the_parameters_are_those_before(way):
    cell = make(Failing)
    weights = list(cell.parameters())
    summaries, _ = run(cell, way)
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match="no more"):
        torch.stack(summaries).sum().backward()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(one is other for one, other in zip(cell.parameters(), weights, strict=True))
    assert all(weight.grad is None for weight in weights)


def test_after_a_refused_budget_the_random_state_is_the_one_before():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    with pytest.raises(ModelError, match="memory budget"):
        run(make(), MemoryBudget(0.0001))
    assert torch.equal(torch.get_rng_state(), state)


class Named(NamedTuple):
    total: Tensor
    parts: list


class TupleCell(Cell):
    """A cell whose summary is a nested tuple."""

    def summary(self, rows):
        return rows.sum(dim=1), Named(rows.square(), [rows.argmax(dim=1), rows.sin().sum()])


@pytest.mark.parametrize("way", REPLAYS + CHECKED[:-1], ids=repr)
def test_a_summary_may_be_a_nested_tuple(way):
    def loss(summaries):
        assert all(type(second) is Named and type(second.parts) is list for _, second in summaries)
        assert all(not second.parts[0].is_floating_point() for _, second in summaries)
        return sum(first.sum() + second.total.mean() + second.parts[1] for first, second in summaries)

    assert_same_bits(gradients(make(TupleCell), way, loss), gradients(make(TupleCell), Bptt(), loss))


def test_a_summary_of_another_type_is_refused_by_a_replay():
    class Mapping(Cell):
        def summary(self, rows):
            return {"rows": rows}

    with pytest.raises(ModelError, match="a summary with a dict; return a tensor, or a tuple or list of tensors"):
        run(make(Mapping), Amrb())


class TwiceInState(Cell):
    """A cell that passes the memory on in two places of the state, and uses both."""

    def stages(self, segment, retention):
        def enter(state, shared):  # noqa: ARG001
            rows = self.first(state[0] + segment[0]).tanh()
            return rows, rows

        def leave(state, shared):  # noqa: ARG001
            rows = (self.second(state[0]) * state[1]).sin() * state[0] + state[1]
            return self.summary(rows), retention * rows

        return [enter, leave]


@pytest.mark.parametrize("way", [LayerwiseAmrb(keep) for keep in (0, 1, SEGMENTS)], ids=repr)
def test_layerwise_replay_gives_the_bits_of_bptt_if_a_tensor_is_in_the_state_twice(way):
    assert_same_bits(gradients(make(TwiceInState), way), gradients(make(TwiceInState), Bptt()))


@pytest.mark.parametrize("way", REPLAYS, ids=repr)
def test_a_gradient_of_the_gradient_is_refused(way):
    cell = make()
    with pytest.raises(ModelError, match=r"create_graph=True asks for the gradient of a gradient.*use Bptt"):
        torch.autograd.grad(torch.stack(run(cell, way)[0]).sum(), list(cell.parameters()), create_graph=True)
    found = torch.autograd.grad(torch.stack(run(cell, Bptt())[0]).sum(), list(cell.parameters()), create_graph=True)
    assert torch.autograd.grad(found[0].square().sum(), cell.first.weight)[0].any()


@pytest.mark.parametrize("way", REPLAYS, ids=repr)
def test_a_second_backward_gives_the_same_bits_if_the_graph_is_retained_and_an_error_if_not(way):
    cell = make()
    weights, loss = list(cell.parameters()), torch.stack(run(cell, way)[0]).sum()
    first = torch.autograd.grad(loss, weights, retain_graph=True)
    assert_same_bits(torch.autograd.grad(loss, weights), first)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(loss, weights, allow_unused=True)


class Watching(Cell):
    """A cell that records the dtype that each of its runs computes in."""

    def __init__(self):
        super().__init__()
        self.dtypes = []

    def noise(self, rows):
        self.dtypes.append(rows.dtype)
        return super().noise(rows)


@pytest.mark.parametrize("way", [Amrb(0), LayerwiseAmrb(0), Truncated(SEGMENTS, keep=0)], ids=repr)
def test_replay_restores_autocast_which_is_off_outside_of_the_forward_pass(way):
    cell = make(Watching).float()
    parts = [(torch.full((3, 8), 0.1 * index),) for index in range(SEGMENTS)]
    with torch.autocast("cpu", torch.bfloat16):
        summaries, _ = scan(cell, parts, torch.ones(3, 8), torch.full((SEGMENTS,), 0.8), (), way)
    torch.stack(summaries).sum().backward()
    assert set(cell.dtypes) == {torch.bfloat16}
    assert len(cell.dtypes) >= 2 * SEGMENTS
