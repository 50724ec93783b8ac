"""Plans agree with measurement: parameters exactly, arithmetic with torch's counter, memory within 15 %."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from model.errors import ModelError
from model.memory.differentiation import Amrb, Bptt, LayerwiseAmrb
from model.networks.build import build_model
from model.networks.parameters import ARCHITECTURES, ModelParameters
from model.training.measure import peak_memory
from model.training.parameter_count import parameter_count
from model.training.plan import plan
from model.training.step_flops import forward_flops, training_flops
from model.training.step_memory import peak_bytes

DEEP = {
    "width": 64, "feed_forward_width": 256, "layers": 3, "segment_length": 128, "segments": 4, "memory_tokens": 16,
    "dropout": 0.1, "readout": "last",
}  # fmt: skip
SHALLOW = DEEP | {
    "feed_forward_width": 128, "layers": 2, "segments": 3, "dropout": 0.0, "norm": "pre", "readout": "every",
}  # fmt: skip
METHODS = {"bptt": Bptt(), "amrb": Amrb(), "layerwise": LayerwiseAmrb()}


def as_architecture(architecture, changes):
    return ModelParameters.from_dict(changes).as_architecture(architecture)


@pytest.mark.parametrize("changes", [DEEP, SHALLOW, {"memory_tokens": 0}], ids=["deep", "shallow", "no memory"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_parameters_are_counted_exactly(tables, architecture, changes):
    record = as_architecture(architecture, changes)
    model = build_model(record, tables)
    assert parameter_count(record) == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    "changes",
    [{"exponent": "learned", "relative_positions": "learned"}, {"relative_positions": "measured"},
     {"relative_positions": "none"}, {"relative_positions": "identity"}, {"relative_positions": "random"},
     {"position_embedding": "none"}],
    ids=lambda changes: " and ".join(changes.values()),
)  # fmt: skip
def test_parameters_and_arithmetic_follow_the_settings_of_the_astrocytes(tables, changes):
    for segment_length in (50, 200):
        record = ModelParameters.from_dict(changes | {"segment_length": segment_length})
        assert parameter_count(record) == sum(part.numel() for part in build_model(record, tables).parameters())
        assert_arithmetic_is_counted(tables, record)


OPTIONS = [
    {"memory_norm": True, "readout": "token", "memory_rule": "share"},
    {"local_mixing": 5},
    {"local_mixing": 3, "local_dilations": [1, 16], "local_side": "past"},
    {"local_mixing": 5, "local_into": "rows", "norm": "pre"},
    {"ngrams": [2, 3], "ngram_buckets": 100},
    {"word_buckets": 100, "vocabulary": 257},
    {"read": "rms"},
    {"pixels": "continuous", "vocabulary": 257},
    {"pixels": "continuous", "vocabulary": 257, "pixel_patch": 3, "picture_width": 10},
    {"row_block": 32},
    {"row_block": 64, "local_mixing": 5, "segment_length": 256},
    {"row_block": 32, "local_mixing": 3, "local_dilations": [1, 16], "local_into": "rows", "read": "rms"},
]


@pytest.mark.slow
@pytest.mark.parametrize("changes", OPTIONS, ids=str)
def test_parameters_arithmetic_and_memory_follow_the_options_of_the_model(tables, changes):
    # The methods keep the same tensors whatever the base, so the second one is measured with one method.
    for base, methods in ((DEEP, METHODS), (SHALLOW, ["bptt"])):
        record = ModelParameters.from_dict(base | changes)
        assert parameter_count(record) == sum(part.numel() for part in build_model(record, tables).parameters())
        assert_arithmetic_is_counted(tables, record)
        for name in methods:
            planned = plan(record, name, record.longest_sequence, 3).megabytes
            assert planned == pytest.approx(measured_megabytes(tables, record, 3, METHODS[name]), rel=0.15), name


# With one sample the gradients of parameters dominate, with three the activations.
@pytest.mark.slow
@pytest.mark.parametrize(("changes", "batch"), [(DEEP, 3), (SHALLOW, 1)], ids=["deep", "shallow"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_memory_agrees_with_the_profiler_within_15_percent(tables, architecture, changes, batch):
    record = as_architecture(architecture, changes)
    for name in METHODS if record.family.recurrent else ("bptt",):
        planned = plan(record, name, record.longest_sequence, batch).megabytes
        assert planned == pytest.approx(measured_megabytes(tables, record, batch, METHODS[name]), rel=0.15), name


def measured_megabytes(tables, record, batch, way):
    model = build_model(record, tables).train()
    tokens = torch.randint(1, 16, (batch, record.longest_sequence))
    lengths = torch.full((batch,), record.longest_sequence)

    def step():
        model(tokens, lengths, way).sum().backward()

    step()  # gradients exist from here on
    return peak_memory(step, torch.device("cpu")) / 1e6


@pytest.mark.parametrize(("name", "way"), [("amrb", Amrb), ("layerwise", LayerwiseAmrb)])
def test_memory_follows_the_graphs_that_are_kept(tables, name, way):
    record = as_architecture("rmaat", DEEP)
    for keep in (0, 3):
        planned = plan(record, name, record.longest_sequence, 2, keep).megabytes
        assert planned == pytest.approx(measured_megabytes(tables, record, 2, way(keep)), rel=0.15), keep


# torch's counter has no entry for softmax attention on a CPU.
COUNTED = [name for name, family in ARCHITECTURES.items() if family.attention != "softmax"]


@pytest.mark.parametrize("architecture", COUNTED)
def test_arithmetic_agrees_with_the_flop_counter(tables, architecture):
    for changes in (DEEP, SHALLOW):
        assert_arithmetic_is_counted(tables, as_architecture(architecture, changes))


def assert_arithmetic_is_counted(tables, record):
    model = build_model(record, tables)
    tokens, lengths = torch.randint(1, 16, (2, record.longest_sequence)), torch.full((2,), record.longest_sequence)
    with FlopCounterMode(display=False) as counter:
        logits = model(tokens, lengths, Bptt())
        forward = counter.get_total_flops()
        logits.sum().backward()
    assert forward_flops(record, record.segments, batch=2) == pytest.approx(forward, rel=1e-3)
    total = counter.get_total_flops() - counted_too_often(record)
    assert training_flops(record, "bptt", record.segments, 2) == pytest.approx(total, rel=2e-3)


def counted_too_often(record):
    """torch's counter takes the gradient of depthwise weights for one of dense weights: `width` times as much."""
    each = 2 * record.segment_length * record.width * record.local_mixing * len(record.local_dilations)
    return (record.width - 1) * 2 * record.segments * record.layers * each


def test_softmax_attention_differs_from_linear_only_in_its_mixing():
    softmax, linear = (
        ModelParameters.from_dict(SHALLOW | {"architecture": name, "heads": 4}) for name in ("rmt", "rlt")
    )
    rows, width = 144, 64
    scores_and_read = 4 * rows * width
    write_and_read = 4 * width * 16 + 2 * width
    difference = 2 * 4 * rows * (scores_and_read - write_and_read)
    assert forward_flops(softmax, 4) - forward_flops(linear, 4) == difference


def test_replay_adds_the_flops_of_the_passes_it_repeats():
    record = ModelParameters(segments=4, layers=4, architecture="rlt", readout="every")

    def ratio(way, keep=1):
        return plan(record, way, 200, keep=keep).training_flops_per_token / (
            plan(record, "bptt", 200).training_flops_per_token
        )

    assert ratio("amrb") == pytest.approx((4 - 1 / 4) / 3)
    assert ratio("amrb", keep=4) == 1
    assert ratio("layerwise", keep=0) == pytest.approx((5 - 1 / 4) / 3)


def test_the_kernel_of_a_state_space_costs_once_a_step_whatever_the_batch(tables):
    record = as_architecture("s4d", {"segment_length": 512, "segments": 1, "layers": 1})
    for batch in (1, 4):
        planned = plan(record, "bptt", 512, batch).megabytes
        assert planned == pytest.approx(measured_megabytes(tables, record, batch, Bptt()), rel=0.15), batch
    one, four = (plan(record, "bptt", 512, batch).training_flops_per_token for batch in (1, 4))
    # 23 blocks of 23 powers, 32 states, two directions; once forward and twice backward.
    assert one - four == pytest.approx(3 * (2 * 64 * 46 * 64 * 23) * (1 - 1 / 4) / 512)


def test_rows_that_the_readout_leaves_out_are_not_counted():
    last, every = (ModelParameters(segments=64, layers=1, memory_tokens=0, readout=name) for name in ("last", "every"))
    assert forward_flops(every, 64) > 20 * forward_flops(last, 64)
    assert peak_bytes(every, "bptt", 64) > 20 * peak_bytes(last, "bptt", 64)


def test_memory_of_amrb_hardly_grows_with_length_and_that_of_bptt_does():
    record = ModelParameters(segment_length=512, segments=2048, width=128)
    short, long = (plan(record, "amrb", tokens).megabytes for tokens in (8192, 2**20))
    assert long - short < 20
    assert plan(record, "bptt", 2**20).megabytes > 50 * plan(record, "bptt", 8192).megabytes


def test_unsupported_plans_are_refused():
    with pytest.raises(ModelError, match="rmaat plan does not support truncated"):
        plan(ModelParameters(), "truncated", 10)
    with pytest.raises(ModelError, match="takes 1 to 200 tokens, not 201"):
        plan(ModelParameters(), "amrb", 201)
