"""Replay differentiates the tensors of the forward pass, swapped or not, and hooks on them run once."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from model.errors import ModelError
from model.memory.differentiation import Amrb, Bptt, LayerwiseAmrb, MemoryBudget, Truncated
from model.memory.scan import scan

SEGMENTS = 4
REPLAYS = [
    Amrb(0), Amrb(1), Amrb(SEGMENTS), LayerwiseAmrb(0), LayerwiseAmrb(1), MemoryBudget(0.0071), MemoryBudget(10.0),
    Truncated(SEGMENTS), Truncated(SEGMENTS, keep=2),
]  # fmt: skip
WAYS = [Bptt(), *REPLAYS]


class Cell(nn.Module):
    """Two stages, which use each parameter once; a scale as buffer; dropout."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 8)
        self.mix = nn.Linear(8, 8)
        self.out = nn.Linear(8, 8)
        self.dropout = nn.Dropout(0.2)
        self.register_buffer("scale", torch.full((8,), 0.7))

    def forward(self, segment, memory, retention, shared):
        state = (memory,)
        for stage in self.stages(segment, retention):
            state = stage(state, shared)
        return state

    def stages(self, segment, retention):
        def enter(state, shared):
            return (self.mix(state[0] + self.embedding(segment[0]).mean(dim=1)).tanh() + shared[0],)

        def leave(state, shared):  # noqa: ARG001
            rows = self.dropout(self.out(state[0])) * self.scale
            return rows.square().sum(dim=1), retention * rows

        return [enter, leave]


class Model(nn.Module):
    """A scan over a cell, with a learned first memory and a learned shared tensor."""

    def __init__(self, cell=None):
        super().__init__()
        torch.manual_seed(0)
        self.cell = cell or Cell()
        self.memory = nn.Parameter(torch.randn(3, 8))
        self.shared = nn.Parameter(0.1 * torch.randn(8))
        self.double()

    def forward(self, way, seed=1):
        generator = torch.Generator().manual_seed(2)
        segments = [(torch.randint(0, 10, (3, 5), generator=generator),) for _ in range(SEGMENTS)]
        torch.manual_seed(seed)
        retention = torch.full((SEGMENTS,), 0.8, dtype=torch.float64)
        summaries, memory = scan(self.cell, segments, self.memory, retention, (self.shared,), way)
        return torch.stack(summaries).square().mean() + memory.sum()


def gradients_of(model, way):
    model.zero_grad()
    model(way).backward()
    return [parameter.grad for parameter in model.parameters()]


def assert_same_bits(found, expected):
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        assert one is None or (torch.equal(one, other) and bool(one.any()))


@pytest.mark.parametrize("way", WAYS, ids=repr)
def test_a_hook_that_halves_a_gradient_runs_once_and_halves_it(way):
    model = Model()
    whole = gradients_of(model, way)
    calls = []
    for parameter in model.parameters():
        parameter.register_hook(lambda gradient: calls.append(1) or 0.5 * gradient)
    assert_same_bits(gradients_of(model, way), [0.5 * gradient for gradient in whole])
    assert len(calls) == len(whole)


@pytest.mark.parametrize("way", WAYS, ids=repr)
def test_a_hook_after_accumulation_runs_once_on_the_sum(way):
    model, seen = Model(), {}
    for name, parameter in model.named_parameters():
        parameter.register_post_accumulate_grad_hook(
            lambda tensor, name=name: seen.setdefault(name, []).append(tensor.grad.clone())
        )
    expected = gradients_of(model, Bptt())
    seen.clear()
    gradients_of(model, way)
    assert_same_bits([gradient for (gradient,) in seen.values()], [seen_by(model, expected)[name] for name in seen])


def seen_by(model, gradients):
    return dict(zip((name for name, _ in model.named_parameters()), gradients, strict=True))


@pytest.mark.parametrize("way", REPLAYS, ids=repr)
@pytest.mark.parametrize("leaf", [True, False], ids=["leaf", "not leaf"])
def test_functional_call_differentiates_the_tensors_that_it_swaps_in(way, leaf):
    model, found = Model(), []
    own = [parameter.clone() for parameter in model.parameters()]
    for method in (Bptt(), way):
        roots = {name: (1.5 * tensor).detach().requires_grad_() for name, tensor in named(model).items()}
        given = roots if leaf else {name: root.sin() for name, root in roots.items()}
        loss = torch.func.functional_call(model, given, (method,))
        found.append([loss.detach(), *torch.autograd.grad(loss, list(roots.values()))])
    assert_same_bits(found[1], found[0])
    # The model has its own parameters again, without gradients.
    assert_same_bits(list(model.parameters()), own)
    assert all(isinstance(parameter, nn.Parameter) and parameter.grad is None for parameter in model.parameters())


def named(model):
    """Parameters and buffers, so that a buffer is swapped, and differentiated, too."""
    return dict(model.named_parameters()) | dict(model.named_buffers())


@pytest.mark.parametrize("way", REPLAYS, ids=repr)
def test_functional_call_with_frozen_tensors_and_some_of_the_names(way):
    model, found = Model(), []
    for method in (Bptt(), way):
        weight = (2 * model.cell.out.weight).detach().requires_grad_()
        frozen = (2 * model.cell.mix.weight).detach()
        model.zero_grad()
        torch.func.functional_call(model, {"cell.out.weight": weight, "cell.mix.weight": frozen}, (method,)).backward()
        found.append([weight.grad, frozen.grad, *(parameter.grad for parameter in model.parameters())])
    assert_same_bits(found[1], found[0])
    assert found[0][1] is None


@pytest.mark.parametrize("way", REPLAYS, ids=repr)
def test_weight_norm_gives_the_bits_of_bptt_also_with_swapped_parameters(way):
    cell = Cell()
    parametrizations.weight_norm(cell.mix)
    model = Model(cell)
    assert_same_bits(gradients_of(model, way), gradients_of(model, Bptt()))
    found = []
    for method in (Bptt(), way):
        given = {name: (1.5 * tensor).detach().requires_grad_() for name, tensor in model.named_parameters()}
        loss = torch.func.functional_call(model, given, (method,))
        found.append(torch.autograd.grad(loss, list(given.values())))
    assert_same_bits(found[1], found[0])


@pytest.mark.parametrize("way", REPLAYS, ids=repr)
def test_parameters_that_modules_share_get_the_sum_and_their_hooks_run_once(way):
    model = Model()
    model.cell.out.weight = model.cell.mix.weight
    expected, calls = gradients_of(model, Bptt()), []
    model.cell.mix.weight.register_hook(lambda gradient: calls.append(1) or gradient)
    found = gradients_of(model, way)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    assert calls == [1]
    assert model.cell.out.weight is model.cell.mix.weight
    # Without ties, one of the names is swapped alone.
    swapped = []
    for method in (Bptt(), way):
        weight = (2 * model.cell.out.weight).detach().requires_grad_()
        loss = torch.func.functional_call(model, {"cell.out.weight": weight}, (method,), tie_weights=False)
        swapped.append(torch.autograd.grad(loss, [weight, *model.parameters()]))
    assert_same_bits(swapped[1], swapped[0])


class SharingCell(Cell):
    """A cell that has one module under two names."""

    def __init__(self):
        super().__init__()
        self.again = self.mix


def test_a_module_with_two_names_has_its_own_parameters_after_a_replay():
    model = Model(SharingCell())
    weight = model.cell.mix.weight
    assert_same_bits(gradients_of(model, Amrb(0)), gradients_of(model, Bptt()))
    assert model.cell.mix.weight is model.cell.again.weight is weight


@pytest.mark.parametrize("way", WAYS, ids=repr)
def test_frozen_parameters_and_their_hooks_stay_out(way):
    model = Model()
    model.cell.mix.requires_grad_(False)
    found = gradients_of(model, way)
    assert [gradient is None for gradient in found] == [not p.requires_grad for p in model.parameters()]
    assert_same_bits(found, gradients_of(model, Bptt()))


class Recurrent(nn.Module):
    """A cell with nn.GRU, which reads its weights from a list of its own."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 8)
        self.gru = nn.GRU(8, 8, batch_first=True)

    def forward(self, segment, memory, retention, shared):
        rows, last = self.gru(self.embedding(segment[0]) + shared[0], memory[None])
        return rows.square().sum(dim=(1, 2)), retention * last[0]


@pytest.mark.parametrize("way", [Amrb(0), Amrb(1), MemoryBudget(10.0), Truncated(SEGMENTS)], ids=repr)
def test_a_recurrent_layer_of_torch_gets_the_gradient_of_bptt(way):
    model = Model(Recurrent())
    weights = list(model.cell.gru._flat_weights)
    torch.testing.assert_close(gradients_of(model, way), gradients_of(model, Bptt()), rtol=1e-12, atol=1e-14)
    assert all(one is other for one, other in zip(model.cell.gru._flat_weights, weights, strict=True))


@pytest.mark.parametrize("way", REPLAYS, ids=repr)
def test_transforms_of_torch_func_are_refused_and_work_with_bptt(way):
    model = Model()
    parameters = dict(model.named_parameters())

    def loss(given, method):
        return torch.func.functional_call(model, given, (method,))

    found = torch.func.grad(loss)(parameters, Bptt())
    assert_same_bits(list(found.values()), gradients_of(model, Bptt()))
    with pytest.raises(ModelError, match=r"transforms of torch\.func .* cannot differentiate a replay; use Bptt"):
        torch.func.grad(loss)(parameters, way)


@pytest.mark.parametrize("way", REPLAYS, ids=repr)
def test_replay_runs_in_the_mode_of_the_forward_pass(way):
    model = Model()
    expected = gradients_of(model, Bptt())
    model.zero_grad()
    loss = model(way)
    model.eval()
    loss.backward()
    assert_same_bits([parameter.grad for parameter in model.parameters()], expected)
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("name", ["cell.scale", "cell.out.weight", "shared", "tokens"])
def test_a_change_in_place_between_forward_and_backward_raises(name):
    model, tokens = Model(), torch.ones(3, 5, dtype=torch.int64)
    retention = torch.ones(2, dtype=torch.float64)
    summaries, _ = scan(model.cell, [(tokens,)] * 2, model.memory, retention, (model.shared,), Amrb(0))
    changed = named(model).get(name, tokens)
    with torch.no_grad():
        changed.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        summaries[-1].sum().backward()


class Normed(Cell):
    """A cell whose batch norm changes buffers."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.BatchNorm1d(8)


class Replacing(Cell):
    """A cell that puts another tensor into its buffer."""

    def forward(self, segment, memory, retention, shared):
        self.scale = 0.9 * self.scale
        return super().forward(segment, memory, retention, shared)


@pytest.mark.parametrize(("cell", "name"), [(Normed, "dropout.num_batches_tracked"), (Replacing, "scale")])
def test_a_cell_that_changes_its_buffers_is_refused(cell, name):
    model = Model(cell())
    with pytest.raises(ModelError, match=f"the cell changes its tensor {name} while it runs"):
        model(Amrb())
    assert model.cell.mix.weight.grad is None
    model(Bptt()).backward()


def test_batch_norm_in_evaluation_gives_the_bits_of_bptt():
    model = Model(Normed()).eval()
    assert_same_bits(gradients_of(model, Amrb(0)), gradients_of(model, Bptt()))


def test_cached_parametrisations_are_refused():
    cell = Cell()
    parametrizations.weight_norm(cell.mix)
    model = Model(cell)
    with parametrize.cached(), pytest.raises(ModelError, match=r"parametrize\.cached keeps a weight without"):
        model(Amrb())
