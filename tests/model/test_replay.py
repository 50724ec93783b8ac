"""AMRB gives the gradient of backpropagation through time, to the bit, from the memory of one segment."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.errors import ModelError
from model.measure import peak_memory
from model.replay import Amrb, Bptt, scan

ALL_SEGMENTS = 5


def gradients(model, batch, way, seed=3):
    """Gradients by name of one loss, and the state of the generator afterwards."""
    tokens, lengths, labels = batch
    model.zero_grad()
    torch.manual_seed(seed)
    functional.cross_entropy(model(tokens, lengths, way), labels).backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}, torch.get_rng_state()


@pytest.mark.parametrize("keep", [0, 1, 3, ALL_SEGMENTS, ALL_SEGMENTS + 1])
@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("architecture", ["rmaat", "rmt"])
def test_gradients_equal_bptt_to_the_bit(make_model, ragged_batch, architecture, dtype, dropout, readout, keep):
    model = make_model(dtype, architecture=architecture, dropout=dropout, readout=readout)
    expected, state = gradients(model, ragged_batch, Bptt())
    found, state_after_replay = gradients(model, ragged_batch, Amrb(keep))
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        assert torch.equal(gradient, found[name]), name
    assert torch.equal(state, state_after_replay)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_gradients_equal_finite_differences(make_model, ragged_batch, norm):
    model = make_model(norm=norm)
    found, _ = gradients(model, ragged_batch, Amrb())
    tokens, lengths, labels = ragged_batch
    generator = torch.Generator().manual_seed(4)
    for name, parameter in model.named_parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        losses = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.add_(sign * 1e-6 * direction)
                losses.append(functional.cross_entropy(model(tokens, lengths), labels).item())
                parameter.sub_(sign * 1e-6 * direction)
        difference = (losses[0] - losses[1]) / 2e-6
        assert (found[name] * direction).sum().item() == pytest.approx(difference, rel=1e-4, abs=1e-8), name


def test_bfloat16_gradients_are_no_farther_from_float64_than_those_of_bptt(make_model, ragged_batch):
    exact, _ = gradients(make_model(torch.float64), ragged_batch, Bptt())
    model = make_model(torch.float32)
    errors = {}
    for name, way in (("bptt", Bptt()), ("amrb", Amrb())):
        with torch.autocast("cpu", torch.bfloat16):
            found, _ = gradients(model, ragged_batch, way)
        errors[name] = sum(((found[key].double() - exact[key]) ** 2).sum().item() for key in exact) ** 0.5
    scale = sum((gradient**2).sum().item() for gradient in exact.values()) ** 0.5
    assert 0 < errors["bptt"] / scale < 0.1
    # Replay adds the segments' gradients in float32, autograd in bfloat16, so that replay is usually the nearer one.
    assert errors["amrb"] <= 1.02 * errors["bptt"]


def test_leaving_the_retention_factor_out_of_the_replay_is_detected(make_model, ragged_batch):
    model = make_model()
    expected, _ = gradients(model, ragged_batch, Bptt())
    forget_in_replay = model.cell.register_forward_pre_hook(
        lambda _, arguments: (
            (arguments[0], arguments[1], torch.ones_like(arguments[2]), arguments[3])
            if torch.is_grad_enabled()
            else None
        )
    )
    wrong, _ = gradients(model, ragged_batch, Amrb(keep=0))
    forget_in_replay.remove()
    assert not torch.allclose(expected["initial_memory"], wrong["initial_memory"], rtol=0.1)


class Recorder(nn.Module):
    """A linear cell that notes which segment it runs, and whether it builds a graph."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))
        self.log: list[tuple[int, bool]] = []

    def forward(self, segment: tuple[Tensor, ...], memory: Tensor, retention: Tensor, shared: tuple[Tensor, ...]):
        self.log.append((int(segment[0]), torch.is_grad_enabled()))
        memory = retention * self.weight * (memory + segment[0]) + shared[0]
        return memory.sum(), memory


def run_recorder(way, count=4):
    cell = Recorder()
    shared = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    memory = torch.ones(2, dtype=torch.float64, requires_grad=True)
    segments = [(torch.tensor(float(index)),) for index in range(count)]
    retention = [torch.tensor(1 / (index + 1), dtype=torch.float64) for index in range(count)]
    summaries, last = scan(cell, segments, memory, retention, (shared,), way)
    return cell, summaries, last, (cell.weight, shared, memory)


@pytest.mark.parametrize("keep", [0, 1, 2, 4])
def test_each_segment_runs_once_forward_and_those_not_kept_once_more_from_last_to_first(keep):
    cell, summaries, _, _ = run_recorder(Amrb(keep))
    kept = [False] * (4 - keep) + [True] * keep
    assert cell.log == list(enumerate(kept))
    torch.stack(summaries).sum().backward()
    assert cell.log[4:] == [(index, True) for index in reversed(range(4 - keep))]


@pytest.mark.parametrize("loss", ["first summary", "last summary", "all summaries", "last memory"])
def test_any_loss_over_summaries_and_memory_reaches_parameters_memory_and_shared_tensors(loss):
    found = []
    for way in (Bptt(), Amrb(0), Amrb(1)):
        _, summaries, last, leaves = run_recorder(way)
        value = {
            "first summary": summaries[0],
            "last summary": summaries[-1],
            "all summaries": torch.stack(summaries).square().sum(),
            "last memory": last.square().sum(),
        }[loss]
        found.append(torch.autograd.grad(value, leaves))
    for gradient in zip(*found, strict=True):
        assert torch.equal(gradient[0], gradient[1])
        assert torch.equal(gradient[0], gradient[2])


def test_frozen_parameters_get_no_gradient_and_the_others_the_right_one(make_model, ragged_batch):
    model = make_model()
    model.cell.embedding.weight.requires_grad_(False)
    tokens, lengths, labels = ragged_batch
    found = []
    for way in (Bptt(), Amrb()):
        model.zero_grad()
        functional.cross_entropy(model(tokens, lengths, way), labels).backward()
        found.append(model.cell.positions.grad.clone())
        assert model.cell.embedding.weight.grad is None
    assert torch.equal(*found)


def test_gradients_accumulate_over_batches(make_model, ragged_batch):
    model = make_model()
    tokens, lengths, labels = ragged_batch
    found = []
    for way in (Bptt(), Amrb()):
        model.zero_grad()
        for part in (slice(0, 3), slice(3, 6)):
            functional.cross_entropy(model(tokens[part], lengths[part], way), labels[part]).backward()
        found.append(model.head.weight.grad.clone())
    assert torch.equal(*found)


def test_memory_of_amrb_hardly_grows_with_the_number_of_segments_and_that_of_bptt_does(make_model):
    def peak(segments, way):
        model = make_model(torch.float32, segments=64, width=32, segment_length=20)
        tokens = torch.randint(1, 16, (4, 20 * segments))
        lengths = torch.full((4,), 20 * segments)
        model(tokens, lengths, way).sum().backward()
        return peak_memory(lambda: model(tokens, lengths, way).sum().backward(), torch.device("cpu"))

    # Per segment AMRB keeps the memory (3 x 32 float32 for 4 samples), the generator's state (5 kB), ids and summaries.
    assert (peak(64, Amrb()) - peak(8, Amrb())) / 56 < 10_000
    assert (peak(64, Bptt()) - peak(8, Bptt())) / 56 > 100_000


def test_without_gradients_nothing_is_kept(make_model, ragged_batch):
    model = make_model()
    with torch.no_grad():
        logits = model(*ragged_batch[:2], Amrb())
    assert logits.grad_fn is None


def test_a_second_backward_is_refused_as_for_any_freed_graph(make_model, ragged_batch):
    model = make_model()
    loss = model(*ragged_batch[:2], Amrb()).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_a_parameter_changed_between_forward_and_backward_is_noticed(make_model, ragged_batch):
    model = make_model()
    loss = model(*ragged_batch[:2], Amrb()).sum()
    with torch.no_grad():
        model.cell.positions.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"segments": []}, "no segments"),
        ({"segments": [(torch.ones(1, requires_grad=True),)]}, "a segment requires a gradient"),
        ({"retention": [torch.ones((), requires_grad=True)]}, "a retention requires a gradient"),
    ],
)
def test_what_cannot_be_replayed_is_refused(arguments, message):
    call = {"segments": [(torch.ones(1),)], "memory": torch.ones(1), "retention": [torch.ones(())], "shared": ()}
    for way in (Bptt(), Amrb()):
        with pytest.raises(ModelError, match=message):
            scan(Recorder(), **(call | arguments), differentiation=way)


def test_a_negative_number_of_kept_graphs_is_refused():
    with pytest.raises(ModelError, match="must be 0 or more"):
        Amrb(-1)
