"""AMRB gives the gradient of backpropagation through time, to the bit, from the memory of one segment."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.errors import ModelError
from model.memory.differentiation import Amrb, Bptt, LayerwiseAmrb, MemoryBudget, Truncated
from model.memory.scan import scan
from model.training.measure import peak_memory

ALL_SEGMENTS = 5


def gradients(model, batch, way, seed=3, precision=torch.float32):
    """Gradients of one loss by parameter name, and the random state afterwards."""
    tokens, lengths, labels = batch
    model.zero_grad()
    torch.manual_seed(seed)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        loss = functional.cross_entropy(model(tokens, lengths, way), labels)
    # Outside of autocast, as in training: a replay must switch it on itself.
    loss.backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}, torch.get_rng_state()


# Every pair of settings; `test_every_exact_method_gives_the_bits_of_bptt` has more pairs of dtype and architecture.
@pytest.mark.parametrize("keep", [0, 1, 3, ALL_SEGMENTS, ALL_SEGMENTS + 1])
@pytest.mark.parametrize(
    ("architecture", "dtype", "dropout", "readout"),
    [
        ("rmaat", torch.float32, 0.1, "last"),
        ("rmaat", torch.float64, 0.0, "every"),
        ("rmaat", torch.float32, 0.0, "every"),
        ("rmt", torch.float64, 0.1, "last"),
        ("rmt", torch.float32, 0.0, "last"),
        ("rmt", torch.float64, 0.1, "every"),
    ],
)
def test_gradients_equal_bptt_to_the_bit(make_model, ragged_batch, architecture, dtype, dropout, readout, keep):
    model = make_model(dtype, architecture=architecture, dropout=dropout, readout=readout)
    expected, state = gradients(model, ragged_batch, Bptt())
    found, state_after_replay = gradients(model, ragged_batch, Amrb(keep))
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        assert torch.equal(gradient, found[name]), name
    assert torch.equal(state, state_after_replay)


@pytest.mark.parametrize(
    "way",
    [LayerwiseAmrb(0), LayerwiseAmrb(1), LayerwiseAmrb(ALL_SEGMENTS), MemoryBudget(2.0), MemoryBudget(100.0),
     Truncated(ALL_SEGMENTS), Truncated(ALL_SEGMENTS + 3, keep=2)],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize(("architecture", "dtype"), [("rmaat", torch.float32), ("rmt", torch.float64)])
def test_every_exact_method_gives_the_bits_of_bptt(make_model, ragged_batch, architecture, dtype, readout, way):
    model = make_model(dtype, architecture=architecture, dropout=0.1, readout=readout, layers=3)
    expected, state = gradients(model, ragged_batch, Bptt())
    found, state_after_replay = gradients(model, ragged_batch, way)
    for name, gradient in expected.items():
        assert torch.equal(gradient, found[name]), name
    assert torch.equal(state, state_after_replay)


@pytest.mark.parametrize("layers", [1, 2])
def test_layerwise_replay_equals_bptt_for_any_number_of_layers_and_both_norms(make_model, ragged_batch, layers):
    for norm in ("post", "pre"):
        model = make_model(torch.float32, dropout=0.1, layers=layers, norm=norm)
        expected, _ = gradients(model, ragged_batch, Bptt())
        found, _ = gradients(model, ragged_batch, LayerwiseAmrb())
        assert all(torch.equal(expected[name], found[name]) for name in expected)


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


def test_bfloat16_gradients_are_as_close_to_float64_as_those_of_bptt(make_model, ragged_batch):
    exact, _ = gradients(make_model(torch.float64), ragged_batch, Bptt())
    model = make_model(torch.float32)
    errors = {}
    for name, way in (("bptt", Bptt()), ("amrb", Amrb()), ("layerwise", LayerwiseAmrb())):
        found, _ = gradients(model, ragged_batch, way, precision=torch.bfloat16)
        errors[name] = sum(((found[key].double() - exact[key]) ** 2).sum().item() for key in exact) ** 0.5
    scale = sum((gradient**2).sum().item() for gradient in exact.values()) ** 0.5
    assert 0 < errors["bptt"] / scale < 0.1
    # Replay adds the gradients of segments in float32, autograd in bfloat16, so replay is usually closer.
    assert errors["amrb"] <= 1.02 * errors["bptt"]
    assert errors["layerwise"] == errors["amrb"]


@pytest.mark.parametrize("loss", ["last summary", "all summaries"])
@pytest.mark.parametrize("reach", [1, 2, 3, 7])
def test_truncation_gives_the_bits_of_memory_detached_between_stretches(reach, loss):
    def value(summaries):
        return summaries[-1] if loss == "last summary" else torch.stack(summaries).square().sum()

    _, summaries, _, leaves = run_recorder(Truncated(reach), count=7)
    found = torch.autograd.grad(value(summaries), leaves, allow_unused=True)

    cell, (segments, memory, retention, shared) = Recorder(), recorder_inputs(7)
    start, state, expected = memory, memory, []
    for index in range(7):
        if index in range(7 - reach, 0, -reach):
            state = state.detach()
        summary, state = cell(segments[index], state, retention[index], (shared,))
        expected.append(summary)
    wanted = torch.autograd.grad(value(expected), (cell.weight, shared, start), allow_unused=True)
    for gradient, right in zip(found, wanted, strict=True):
        assert (gradient is None) == (right is None)
        assert gradient is None or torch.equal(gradient, right)


def test_truncation_replays_only_segments_that_the_loss_reaches():
    cell, summaries, _, _ = run_recorder(Truncated(2, keep=0), count=6)
    summaries[-1].backward()
    assert cell.log[6:] == [(5, True), (4, True)]


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
    """A linear cell that records which segment it runs and whether it builds a graph."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))
        self.log: list[tuple[int, bool]] = []

    def forward(self, segment: tuple[Tensor, ...], memory: Tensor, retention: Tensor, shared: tuple[Tensor, ...]):
        self.log.append((int(segment[0]), torch.is_grad_enabled()))
        memory = retention * self.weight * (memory + segment[0]) + shared[0]
        return memory.sum(), memory


def recorder_inputs(count):
    shared = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    memory = torch.ones(2, dtype=torch.float64, requires_grad=True)
    segments = [(torch.tensor(float(index)),) for index in range(count)]
    retention = [torch.tensor(1 / (index + 1), dtype=torch.float64) for index in range(count)]
    return segments, memory, retention, shared


def run_recorder(way, count=4):
    cell = Recorder()
    segments, memory, retention, shared = recorder_inputs(count)
    summaries, last = scan(cell, segments, memory, retention, (shared,), way)
    return cell, summaries, last, (cell.weight, shared, memory)


@pytest.mark.parametrize("keep", [0, 1, 2, 4])
def test_segments_that_are_not_kept_run_once_more_from_last_to_first(keep):
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


def peak_above_parameters(make_model, way, segments, **changes):
    model = make_model(torch.float32, **({"segments": 64, "width": 32, "segment_length": 20} | changes))
    tokens = torch.randint(1, 16, (4, 20 * segments))
    lengths = torch.full((4,), 20 * segments)
    model(tokens, lengths, way).sum().backward()
    return peak_memory(lambda: model(tokens, lengths, way).sum().backward(), torch.device("cpu"))


def test_layerwise_replay_holds_the_activations_of_one_layer(make_model):
    whole, layerwise = (
        [peak_above_parameters(make_model, way, 8, layers=layers, width=64) for layers in (2, 8)]
        for way in (Amrb(), LayerwiseAmrb())
    )
    # With more layers both methods sum more parameter gradients, but activations grow only without layerwise replay.
    growth = (layerwise[1] - layerwise[0]) / (whole[1] - whole[0])
    assert growth < 0.5


def test_a_step_stays_within_its_memory_budget_and_uses_it(make_model):
    bptt = peak_above_parameters(make_model, Bptt(), 16)
    for share in (0.3, 0.6):
        budget = share * bptt
        assert 0.5 * budget < peak_above_parameters(make_model, MemoryBudget(budget / 1e6), 16) <= budget


def test_a_budget_reruns_the_first_segment_only_if_not_all_graphs_fit():
    cell, summaries, _, _ = run_recorder(MemoryBudget(1.0))
    torch.stack(summaries).sum().backward()
    assert cell.log == [(index, True) for index in range(4)]
    budget = MemoryBudget(0.001)
    assert budget.keep(graph_bytes=100, other_bytes=300, segments=4) == 4
    assert budget.keep(graph_bytes=100, other_bytes=600, segments=4) == 3
    assert budget.keep(graph_bytes=100, other_bytes=800, segments=4) == 1


def test_a_budget_too_small_for_one_segment_is_refused_with_the_size_needed(make_model, ragged_batch):
    with pytest.raises(ModelError, match=r"budget of 0\.001 MB is less than the 0\.\d MB that one segment takes"):
        make_model()(*ragged_batch[:2], MemoryBudget(0.001))


def test_frozen_parameters_get_no_gradient_and_others_the_correct_one(make_model, ragged_batch):
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
    for way in (Bptt(), Amrb(), LayerwiseAmrb()):
        model.zero_grad()
        for part in (slice(0, 3), slice(3, 6)):
            functional.cross_entropy(model(tokens[part], lengths[part], way), labels[part]).backward()
        found.append([parameter.grad.clone() for parameter in model.parameters()])
    for bptt, *others in zip(*found, strict=True):
        assert all(torch.equal(bptt, other) for other in others)


def test_memory_of_amrb_hardly_grows_with_the_number_of_segments_and_that_of_bptt_does(make_model):
    def peak(segments, way):
        return peak_above_parameters(make_model, way, segments)

    # Per segment AMRB keeps the memory (3 x 32 float32 for 4 samples), the random state (5 kB), ids and summaries.
    assert (peak(32, Amrb()) - peak(8, Amrb())) / 24 < 10_000
    assert (peak(32, Bptt()) - peak(8, Bptt())) / 24 > 100_000


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


def test_changing_a_parameter_between_forward_and_backward_raises(make_model, ragged_batch):
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
    ],
)
def test_segments_that_cannot_be_replayed_are_refused(arguments, message):
    call = {"segments": [(torch.ones(1),)], "memory": torch.ones(1), "retention": [torch.ones(())], "shared": ()}
    for way in (Bptt(), Amrb()):
        with pytest.raises(ModelError, match=message):
            scan(Recorder(), **(call | arguments), differentiation=way)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Amrb(-1), "must be 0 or more"),
        (lambda: LayerwiseAmrb(-1), "must be 0 or more"),
        (lambda: Truncated(2, keep=-1), "must be 0 or more"),
        (lambda: Truncated(0), "must reach at least 1"),
        (lambda: MemoryBudget(0), "must be above 0"),
        (lambda: MemoryBudget(float("nan")), "must be above 0"),
    ],
)
def test_invalid_settings_are_refused(make, message):
    with pytest.raises(ModelError, match=message):
        make()


def test_layerwise_replay_of_a_cell_without_stages_is_refused():
    with pytest.raises(ModelError, match="Recorder has no method stages"):
        run_recorder(LayerwiseAmrb())


class Widening(nn.Module):
    """A cell whose memory changes its dtype and size from segment to segment."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, segment: tuple[Tensor, ...], memory: Tensor, retention: Tensor, shared: tuple[Tensor, ...]):  # noqa: ARG002
        memory = torch.cat([memory.double() * segment[0], self.weight])
        return memory.square().sum(), memory


def test_memories_may_change_shape_and_dtype_between_segments():
    found = []
    for way in (Bptt(), Amrb(0)):
        cell, start = Widening(), torch.ones(2, requires_grad=True)
        segments = [(torch.tensor(float(index + 1)),) for index in range(4)]
        summaries, _ = scan(cell, segments, start, torch.ones(4), (), way)
        found.append(torch.autograd.grad(torch.stack(summaries).sum(), [cell.weight, start]))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


def test_a_wrong_number_of_retention_factors_is_refused():
    with pytest.raises(ModelError, match="1 segments came with 2 retention factors"):
        scan(Recorder(), [(torch.ones(1),)], torch.ones(1), torch.ones(2), (), Bptt())


def test_retention_may_be_one_tensor():
    segments, memory, retention, shared = recorder_inputs(4)
    found = []
    for factors in (retention, torch.stack(retention)):
        cell = Recorder()
        summaries, _ = scan(cell, segments, memory, factors, (shared,), Amrb())
        found.append(torch.autograd.grad(torch.stack(summaries).sum(), [cell.weight, shared, memory]))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))
