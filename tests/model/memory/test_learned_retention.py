"""Learned retention factors start from the tables, and replay gives their gradient to the bit."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from distill.law import Law
from distill.learned import with_learned
from distill.tables import TableError
from model.errors import ModelError
from model.memory.differentiation import Amrb, Bptt, LayerwiseAmrb, MemoryBudget, Truncated
from model.memory.learned_retention import LEARNED_RETENTIONS, FreeIncrements, LearnedFactors, StretchedIncrements
from model.memory.retention import build_retention, factors_without_length
from model.memory.scan import scan
from model.networks.parameters import ModelParameters
from model.training.parameter_count import parameter_count

NAMES = ("learned", "learned_rate", "learned_stretch", "learned_saturation")

LONGEST = 6
OF_SHARES = ("learned", "learned_rate", "learned_stretch")


def gradients(model, batch, way):
    tokens, lengths, labels = batch
    model.zero_grad()
    torch.manual_seed(3)
    functional.cross_entropy(model(tokens, lengths, way), labels).backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("form", OF_SHARES)
def test_factors_start_at_those_of_the_tables_for_every_length(tables, form):
    retention = build_retention(tables, LONGEST, form)
    counts = torch.tensor([1, 4, LONGEST, 2])
    found = retention(LONGEST, counts)
    for sample, count in enumerate(counts.tolist()):
        expected = torch.from_numpy(tables.retention(count)).float()
        torch.testing.assert_close(found[:count, sample], expected, rtol=2e-6, atol=0)


def test_factors_without_a_length_start_at_those_of_the_variant_saturation(tables):
    retention = build_retention(tables, LONGEST, "learned_saturation")
    expected = torch.from_numpy(tables.retention(LONGEST, "saturation")).float()
    torch.testing.assert_close(retention(LONGEST, torch.tensor([2, 6]))[:, 0], expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(factors_without_length(retention, "learned_saturation"), expected, rtol=1e-6, atol=0)


def test_the_stretched_form_has_the_increments_of_the_law():
    law = Law("stretched", 2.0, (1.0,), (0.3,), 0.7)
    weight, total = StretchedIncrements(0.3, 0.7, LONGEST).double().parts()
    expected = law.increments(1, LONGEST)
    np.testing.assert_allclose((weight / total[-1]).detach(), expected / expected.sum(), rtol=1e-6)


@pytest.mark.parametrize("form", NAMES)
def test_factors_keep_their_bounds_whatever_is_learned(tables, form):
    retention = build_retention(tables, LONGEST, form)
    for amount in (-8.0, 0.5, 8.0):
        with torch.no_grad():
            for parameter in retention.parameters():
                parameter.add_(amount * torch.linspace(-1, 1, parameter.numel()).reshape(parameter.shape))
        factors = retention(LONGEST, torch.tensor([LONGEST]))[:, 0]
        assert bool(((factors >= 0) & (factors <= 1)).all())
        if form != "learned_saturation":
            assert float(factors.detach().sum()) == pytest.approx(1, abs=1e-5)


def test_every_name_of_the_setting_has_a_form_and_its_number_of_parameters(make_model):
    assert tuple(LEARNED_RETENTIONS) == NAMES
    for form in NAMES:
        model = make_model(retention=form)
        assert parameter_count(model.parameters_record) == sum(each.numel() for each in model.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "way", [Amrb(0), Amrb(2), LayerwiseAmrb(0), LayerwiseAmrb(2), MemoryBudget(2.0), Truncated(5)], ids=repr
)
@pytest.mark.parametrize(
    ("form", "rule"),
    [("learned", "scaled"), ("learned_stretch", "share"), ("learned_rate", "gated"), ("learned_saturation", "gated")],
)
def test_the_gradient_of_every_method_has_the_bits_of_bptt(make_model, ragged_batch, form, rule, way, dtype):
    model = make_model(dtype, retention=form, memory_rule=rule, dropout=0.1)
    expected, found = gradients(model, ragged_batch, Bptt()), gradients(model, ragged_batch, way)
    learned = [name for name in expected if name.startswith("retention.")]
    assert learned
    assert all(expected[name].abs().sum() > 0 for name in learned)
    for name, gradient in expected.items():
        assert torch.equal(gradient, found[name]), name


@pytest.mark.parametrize("form", NAMES)
def test_the_gradient_agrees_with_finite_differences(make_model, ragged_batch, form):
    model, step = make_model(retention=form), 1e-6
    found = gradients(model, ragged_batch, Amrb())
    tokens, lengths, labels = ragged_batch

    def loss():
        with torch.no_grad():
            return float(functional.cross_entropy(model(tokens, lengths), labels))

    for name, parameter in model.retention.named_parameters():
        numbers = parameter.data.view(-1)
        for place in range(len(numbers)):
            value, sides = float(numbers[place]), []
            for moved in (value + step, value - step):
                numbers[place] = moved
                sides.append(loss())
            numbers[place] = value
            gradient = float(found[f"retention.{name}"].view(-1)[place])
            assert (sides[0] - sides[1]) / (2 * step) == pytest.approx(gradient, rel=1e-5, abs=1e-9)


class Leaky(torch.nn.Module):
    """A cell whose memory is the retention factor times the old memory, plus its segment."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(0.9))

    def forward(self, segment, memory, retention, shared):  # noqa: ARG002
        memory = torch.tanh(self.gain * retention * memory + segment[0])
        return memory.sum(), memory


@pytest.mark.parametrize("pack", [list, torch.stack], ids=["list", "tensor"])
def test_a_factor_that_several_segments_share_gets_the_sum_of_bptt(pack):
    segments = [(torch.randn(3, generator=torch.Generator().manual_seed(place)),) for place in range(6)]
    found = []
    for way in (Bptt(), Amrb(0), Amrb(3)):
        cell = Leaky()
        often = torch.tensor(0.7, requires_grad=True)
        once = torch.tensor(0.3, requires_grad=True)
        given = torch.tensor(0.5)
        factors = pack([often, given, often, once, often, often])
        summaries, memory = scan(cell, segments, torch.ones(3), factors, (), way)
        (torch.stack(summaries).sum() + memory.sum()).backward()
        found.append([often.grad, once.grad, cell.gain.grad])
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


def test_a_truncated_gradient_leaves_out_factors_before_the_stretch():
    segments = [(torch.ones(2),)] * 4
    factors = [torch.tensor(0.5, requires_grad=True) for _ in segments]
    _, memory = scan(Leaky(), segments, torch.ones(2), factors, (), Truncated(2))
    memory.sum().backward()
    assert [factor.grad is not None for factor in factors] == [False, False, True, True]


def test_a_stream_reads_the_learned_factors_without_a_length(tables):
    assert isinstance(build_retention(tables, LONGEST, "learned_saturation"), LearnedFactors)
    with pytest.raises(ModelError, match="learned_saturation or none"):
        factors_without_length(build_retention(tables, LONGEST, "learned"), "learned")


def test_learning_continues_from_tables_with_a_learned_curve(tables):
    weight = np.array([0.1, 0.4, 0.3, 0.2])
    learned = with_learned(tables, weight, weight.cumsum())
    retention = build_retention(learned, 4, "learned")
    assert isinstance(retention, FreeIncrements)
    np.testing.assert_allclose(retention(4, torch.tensor([4]))[:, 0].detach(), weight, rtol=1e-6)


def test_a_law_of_two_rates_starts_the_stretched_form_at_the_geometric_rate(tables):
    dataset = tables.dataset.copy()
    record = dataclasses.replace(tables, dataset=dataset)
    retention = LEARNED_RETENTIONS["learned_stretch"](record, LONGEST)
    assert math.exp(float(retention.log_rate.detach())) == pytest.approx(tables.increment_rate, rel=1e-6)


def test_tables_without_a_learned_curve_say_how_to_get_one(tables):
    with pytest.raises(TableError, match="train with --retention learned"):
        tables.retention(4, "learned")


def test_a_learned_retention_belongs_to_rmaat_alone():
    with pytest.raises(Exception, match="means nothing to a rmt"):
        ModelParameters(architecture="rmt", retention="learned")
