"""The plan says what is measured: parameters exactly, arithmetic by torch's counter, memory within 15 %."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from model.errors import ModelError
from model.measure import peak_memory
from model.network import build_model
from model.parameters import ModelParameters
from model.plan import forward_flops, parameter_count, plan
from model.replay import Amrb, Bptt, LayerwiseAmrb

SIZES = [
    {"width": 64, "feed_forward_width": 256, "layers": 3, "segment_length": 128, "segments": 8, "dropout": 0.1},
    {"width": 64, "feed_forward_width": 128, "layers": 2, "segment_length": 128, "segments": 4, "norm": "pre"},
]
WAYS = {"bptt": Bptt(), "amrb": Amrb(), "layerwise": LayerwiseAmrb()}


@pytest.mark.parametrize("changes", [*SIZES, {}, {"memory_tokens": 0}])
@pytest.mark.parametrize("architecture", ["rmaat", "rmt", "transformer"])
def test_parameters_are_counted_exactly(tables, architecture, changes):
    record = ModelParameters.from_dict(changes).as_architecture(architecture)
    model = build_model(record, tables)
    assert parameter_count(record) == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("changes", SIZES, ids=["dropout", "pre-norm"])
@pytest.mark.parametrize("architecture", ["rmaat", "rmt"])
def test_memory_is_that_of_the_profiler_within_15_percent(tables, architecture, changes, way, batch):
    record = ModelParameters.from_dict(changes | {"architecture": architecture, "memory_tokens": 16})
    model = build_model(record, tables).train()
    tokens = torch.randint(1, 16, (batch, record.longest_sequence))
    lengths = torch.full((batch,), record.longest_sequence)

    def step():
        model(tokens, lengths, WAYS[way]).sum().backward()

    step()
    measured = peak_memory(step, torch.device("cpu")) / 1e6
    assert plan(record, way, record.longest_sequence, batch).megabytes == pytest.approx(measured, rel=0.15)


def test_arithmetic_is_that_of_the_counter(tables):
    record = ModelParameters.from_dict(SIZES[0])
    model = build_model(record, tables)
    tokens, lengths = torch.randint(1, 16, (2, record.longest_sequence)), torch.full((2,), record.longest_sequence)
    with FlopCounterMode(display=False) as counter:
        logits = model(tokens, lengths, Bptt())
        forward = counter.get_total_flops()
        logits.sum().backward()
    assert forward_flops(record, segments=8, batch=2) == pytest.approx(forward, rel=1e-3)
    planned = plan(record, "bptt", record.longest_sequence, batch=2).training_flops_per_token * tokens.numel()
    assert planned == pytest.approx(counter.get_total_flops(), rel=0.15)


def test_replay_adds_the_passes_that_it_repeats():
    record = ModelParameters(segments=4, layers=4)

    def ratio(way, keep=1):
        return plan(record, way, 200, keep=keep).training_flops_per_token / (
            plan(record, "bptt", 200).training_flops_per_token
        )

    assert ratio("amrb") == pytest.approx((4 - 1 / 4) / 3)
    assert ratio("amrb", keep=4) == 1
    assert ratio("layerwise", keep=0) == pytest.approx((5 - 1 / 4) / 3)


def test_memory_of_amrb_hardly_grows_with_length_and_that_of_bptt_does():
    record = ModelParameters(segment_length=512, segments=2048, width=128)
    short, long = (plan(record, "amrb", tokens).megabytes for tokens in (8192, 2**20))
    assert long - short < 20
    assert plan(record, "bptt", 2**20).megabytes > 50 * plan(record, "bptt", 8192).megabytes


def test_what_cannot_be_planned_is_refused():
    with pytest.raises(ModelError, match="truncated is no way to differentiate that can be planned"):
        plan(ModelParameters(), "truncated", 10)
    with pytest.raises(ModelError, match="takes 1 to 200 tokens, not 201"):
        plan(ModelParameters(), "amrb", 201)
