"""The convolution is the recurrence of the paper, step by step, in both directions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from model.layers.state_space import STEPS, StateSpace, convolve, fast_length, sum_of_powers
from model.memory.differentiation import Amrb, Bptt, LayerwiseAmrb
from model.memory.retention import build_retention
from model.networks.build import build_model
from model.networks.classifier import SegmentClassifier
from model.networks.parameters import ModelParameters
from rmaat.base.records import ParameterError

WIDTH, STATES = 4, 3


def make(tokens, dtype=torch.float64, width=WIDTH, states=STATES):
    torch.manual_seed(4)
    return StateSpace(width, states, tokens).to(dtype)


def step_by_step(layer, rows):
    """y as in the docstring of the module, one row after the other; rows (batch, token, width)."""
    poles = torch.complex(-layer.log_decay.exp(), layer.frequency)
    step = layer.log_step.exp()[:, None]
    transition = torch.exp(step * poles)
    drive = (transition - 1) / poles
    ahead, back = torch.view_as_complex(layer.read)

    def states(order):
        state, found = torch.zeros(len(rows), *poles.shape, dtype=poles.dtype), {}
        for token in order:
            state = transition * state + drive * rows[:, token, :, None]
            found[token] = state
        return found

    tokens = rows.shape[1]
    forward, backward = states(range(tokens)), states(reversed(range(tokens)))
    outputs = []
    for token in range(tokens):
        output = 2 * (ahead * forward[token]).real.sum(2) + layer.skip * rows[:, token]
        if token + 1 < tokens:
            output = output + 2 * (back * backward[token + 1]).real.sum(2)
        outputs.append(output)
    return torch.stack(outputs, dim=1)


def mixed(layer, rows):
    return convolve(rows, torch.ones(rows.shape[:2], dtype=torch.bool), *layer.shared(), rows.shape[1])


@pytest.mark.parametrize("tokens", [1, 2, 3, 16, 37])
def test_the_convolution_is_the_recurrence_step_by_step_with_its_gradients(tokens):
    layer, rows = make(tokens), torch.randn(2, tokens, WIDTH, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, tokens, WIDTH, dtype=torch.float64)
    sources = [rows, layer.log_step, layer.log_decay, layer.frequency, layer.read, layer.skip]
    fast, plain = mixed(layer, rows), step_by_step(layer, rows)
    torch.testing.assert_close(fast, plain, rtol=1e-10, atol=1e-12)
    gradients = (torch.autograd.grad((weights * output).sum(), sources) for output in (fast, plain))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_the_layer_ends_in_gelu_and_a_gated_linear_unit():
    layer, rows = make(5), torch.randn(2, 5, WIDTH, dtype=torch.float64)
    value, gate = layer.project_out(functional.gelu(step_by_step(layer, rows))).split(WIDTH, dim=2)
    found = layer(rows, torch.ones(2, 5, dtype=torch.bool), layer.shared(), 5)
    torch.testing.assert_close(found, value * gate.sigmoid(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("tokens", [1, 2, 5, 36, 37])
def test_a_shorter_segment_is_convolved_with_the_lags_it_has(tokens):
    layer, rows = make(37), torch.randn(2, tokens, WIDTH, dtype=torch.float64)
    valid = torch.ones(2, tokens, dtype=torch.bool)
    value, gate = layer.project_out(functional.gelu(step_by_step(layer, rows))).split(WIDTH, dim=2)
    found = layer(rows, valid, layer.shared(), tokens)
    torch.testing.assert_close(found, value * gate.sigmoid(), rtol=1e-10, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 2), st.floats(-3, 3), st.integers(1, 60))
def test_the_kernel_of_one_pole_is_a_rotating_exponential(decay, frequency, tokens):
    weights = torch.tensor([[[2.0 + 1.0j]], [[-0.5j]]], dtype=torch.complex128)
    found = sum_of_powers(weights, torch.tensor([[complex(-decay, frequency)]], dtype=torch.complex128), tokens)
    for token in range(tokens):
        size, angle = math.exp(-decay * token), frequency * token
        ahead = 2 * size * (2 * math.cos(angle) - math.sin(angle))
        assert found[0, :, token].tolist() == pytest.approx([ahead, size * math.sin(angle)], rel=1e-9, abs=1e-12)


def test_a_small_step_loses_no_digits_in_float32():
    exact, rounded = make(64), make(64)
    for layer in (exact, rounded):
        layer.log_step.data.fill_(math.log(1e-5))
    torch.testing.assert_close(rounded.float().kernel().double(), exact.kernel(), rtol=2e-5, atol=1e-10)


def test_initial_values_are_those_of_the_paper():
    layer = StateSpace(512, 5, 8)
    assert layer.log_decay.exp().tolist() == [[pytest.approx(0.5)] * 5] * 512
    assert layer.frequency[7].tolist() == pytest.approx([math.pi * state for state in range(5)])
    steps = layer.log_step.exp()
    assert STEPS[0] <= steps.min() <= steps.max() <= STEPS[1]
    assert layer.log_step.mean().item() == pytest.approx(math.log(1e-2), abs=0.2)
    assert torch.view_as_complex(layer.read).abs().square().mean().item() == pytest.approx(1, abs=0.1)


def test_gradients_are_exact_with_masked_and_unwanted_rows():
    layer, valid = make(6), torch.rand(2, 6) < 0.7
    rows, kernel = torch.randn(2, 6, WIDTH, dtype=torch.float64), layer.shared()[0].detach()
    given = (rows.requires_grad_(), valid, kernel.requires_grad_(), 4)
    assert torch.autograd.gradcheck(convolve, given)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_contents_of_masked_rows_do_not_matter(seed):
    torch.manual_seed(seed)
    layer, rows = StateSpace(8, 2, 6), torch.randn(1, 6, 8)
    valid = torch.tensor([[True, True, False, True, False, False]])
    other = torch.where(valid[:, :, None], rows, 100 * torch.randn(1, 6, 8))
    first, second = (layer(x, valid, layer.shared(), 6)[valid] for x in (rows, other))
    assert torch.equal(first, second)


@pytest.mark.parametrize("wanted", [0, 1, 4])
def test_computing_only_wanted_rows_does_not_change_them(wanted):
    layer, rows, valid = make(6), torch.randn(3, 6, WIDTH, dtype=torch.float64), torch.ones(3, 6, dtype=torch.bool)
    whole, part = (layer(rows, valid, layer.shared(), count) for count in (6, wanted))
    torch.testing.assert_close(part, whole[:, :wanted], rtol=1e-12, atol=1e-14)


def test_autocast_leaves_the_convolution_in_float32():
    layer, rows, valid = make(40, torch.float32), torch.randn(2, 40, WIDTH), torch.ones(2, 40, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16):
        (kernel,) = layer.shared()
        assert layer(rows.bfloat16(), valid, (kernel,), 40).dtype == torch.bfloat16
    assert torch.equal(kernel, layer.shared()[0])
    half = make(40, torch.bfloat16)
    assert half(rows.bfloat16(), valid, half.shared(), 40).isfinite().all()


@given(st.integers(1, 10_000))
def test_the_length_of_a_transform_is_the_next_even_one_of_small_factors(least):
    def smooth(length):
        for factor in (2, 3, 5):
            while length % factor == 0:
                length //= factor
        return length == 1

    found = fast_length(least)
    assert found >= least
    assert found % 2 == 0
    assert smooth(found)
    assert not any(smooth(length) for length in range(least + least % 2, found, 2))


def gradients(model, batch, way):
    tokens, lengths, labels = batch
    model.zero_grad()
    torch.manual_seed(3)  # dropout
    functional.cross_entropy(model(tokens, lengths, way), labels).backward()
    return [parameter.grad.clone() for parameter in model.parameters() if parameter.numel()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("way", [Amrb(0), Amrb(), LayerwiseAmrb(0)], ids=str)
def test_replay_gives_the_bits_of_bptt(make_model, ragged_batch, way, dtype):
    model = make_model(dtype, architecture="s4d", segments=1, segment_length=50, memory_tokens=0, dropout=0.1)
    for ours, theirs in zip(*(gradients(model, ragged_batch, each) for each in (way, Bptt())), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("way", [Amrb(), LayerwiseAmrb()], ids=str)
def test_it_mixes_segments_with_memory_too_with_the_same_bits(tables, ragged_batch, way):
    """The layer also works in segments with memory, although no architecture combines them."""
    torch.manual_seed(1)
    record = ModelParameters(
        architecture="rmt", width=16, heads=2, feed_forward_width=24, memory_tokens=3, segment_length=10, segments=5
    )
    layers = [StateSpace(16, 4, 13) for _ in range(record.layers)]
    model = SegmentClassifier(record, layers, build_retention(tables, 5, "none")).double()
    for ours, theirs in zip(*(gradients(model, ragged_batch, each) for each in (way, Bptt())), strict=True):
        assert torch.equal(ours, theirs)
        assert ours.any()


def test_only_s4d_has_a_number_of_states(tables):
    record = ModelParameters().as_architecture("s4d").override({"state_size": 5})
    assert build_model(record, tables).state_dict()["cell.blocks.0.attention.frequency"].shape == (64, 5)
    assert record.as_architecture("transformer").state_size == ModelParameters().state_size
    with pytest.raises(ParameterError, match="state_size is 5, which means nothing to a rmaat; leave it at 32"):
        ModelParameters(state_size=5)
    with pytest.raises(ParameterError, match="exponent is one, which means nothing to a s4d"):
        record.override({"exponent": "one"})
