"""The classifier: segments, memory, retention, masking and readout."""

import pytest
import torch
from torch.nn import functional

from model.errors import ModelError
from model.network import split_segments
from model.parameters import ModelParameters
from model.replay import Amrb, Bptt
from rmaat.records import ParameterError

RECURRENT = ["rmaat", "rmt"]
ALL = [*RECURRENT, "transformer"]


@pytest.fixture
def make_any(make_model):
    def make(architecture, **changes):
        if architecture == "transformer":
            changes = {"segments": 1, "segment_length": 50, "memory_tokens": 0} | changes
        return make_model(architecture=architecture, **changes)

    return make


def test_segments_cut_a_batch_and_tell_tokens_from_padding():
    tokens = torch.tensor([[1, 2, 3, 4, 5], [6, 7, 0, 0, 0]])
    segments = split_segments(tokens, torch.tensor([5, 2]), 2)
    assert [segment[0].tolist() for segment in segments] == [[[1, 2], [6, 7]], [[3, 4], [0, 0]], [[5, 0], [0, 0]]]
    assert [segment[1].sum().item() for segment in segments] == [4, 2, 1]


@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("architecture", ALL)
def test_a_sample_does_not_depend_on_the_others_of_its_batch_nor_on_padding(
    make_any, ragged_batch, architecture, readout
):
    model = make_any(architecture, readout=readout)
    tokens, lengths, _ = ragged_batch
    together = model(tokens, lengths)
    for index, length in enumerate(lengths.tolist()):
        alone = model(tokens[index : index + 1, :length], lengths[index : index + 1])
        torch.testing.assert_close(together[index : index + 1], alone, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("architecture", RECURRENT)
def test_memory_carries_the_first_segment_to_the_last_readout(make_any, ragged_batch, architecture):
    model = make_any(architecture)
    tokens, lengths, _ = ragged_batch
    changed = tokens.clone()
    changed[:, 0] = 1 + changed[:, 0] % 15
    assert (model(tokens, lengths) - model(changed, lengths)).abs().min() > 1e-9


def test_without_memory_tokens_the_first_segment_is_forgotten(make_any, ragged_batch):
    model = make_any("rmaat", memory_tokens=0)
    tokens, lengths, _ = ragged_batch
    changed = tokens.clone()
    changed[:, 0] = 1 + changed[:, 0] % 15
    same = (model(tokens, lengths) == model(changed, lengths)).all(dim=1)
    assert same.tolist() == (lengths > 10).tolist()


def by_hand(model, sample):
    """One sequence through the cell, segment by segment, with retention taken from the formula's table directly."""
    record = model.parameters_record
    pieces = sample.split(record.segment_length)
    memory = model.initial_memory[None]
    for index, piece in enumerate(pieces):
        padded = functional.pad(piece, (0, record.segment_length - len(piece)))[None]
        present = torch.arange(record.segment_length)[None] < len(piece)
        factor = (model.retention_weight[index] / model.retention_total[len(pieces) - 1]).expand(1)
        summary, memory = model.cell((padded, present), memory, factor, model.cell.shared())
    return model.head(summary / (len(pieces[-1]) + record.memory_tokens))


@pytest.mark.parametrize("architecture", RECURRENT)
def test_logits_are_those_of_one_sequence_walked_by_hand(make_any, ragged_batch, architecture):
    model = make_any(architecture)
    tokens, lengths, _ = ragged_batch
    for index, length in enumerate(lengths.tolist()):
        expected = by_hand(model, tokens[index, :length])
        torch.testing.assert_close(model(tokens, lengths)[index : index + 1], expected, rtol=1e-10, atol=1e-12)


def test_memory_is_multiplied_by_the_factor_of_segment_and_length(make_any, tables):
    model = make_any("rmaat")
    for segments in range(1, 6):
        found = model.retention_weight[:segments] / model.retention_total[segments - 1]
        torch.testing.assert_close(found, torch.from_numpy(tables.retention(segments)), rtol=1e-6, atol=0)
    segment = (torch.ones(1, 10, dtype=torch.int64), torch.ones(1, 10, dtype=torch.bool))
    memory = model.initial_memory[None]
    _, whole = model.cell(segment, memory, torch.ones(1), model.cell.shared())
    _, part = model.cell(segment, memory, torch.tensor([0.25]), model.cell.shared())
    torch.testing.assert_close(part, whole * 0.25)


def test_the_baseline_rmt_keeps_all_of_its_memory(make_any):
    model = make_any("rmt")
    assert model.retention_weight.tolist() == model.retention_total.tolist() == [1.0] * 5


def test_every_parameter_of_every_architecture_learns(make_any, ragged_batch):
    tokens, lengths, labels = ragged_batch
    for architecture in ALL:
        model = make_any(architecture)
        functional.cross_entropy(model(tokens, lengths, Bptt()), labels).backward()
        idle = [name for name, parameter in model.named_parameters() if parameter.numel() and not parameter.grad.any()]
        assert idle == []


def test_the_weights_of_a_run_hold_what_came_from_the_tables(make_any, tables):
    state = make_any("rmaat").state_dict()
    assert state["cell.blocks.0.attention.exponent"] == pytest.approx(tables.exponent)
    assert state["cell.blocks.1.attention.kernel.decay"] == pytest.approx(tables.decay_per_token)


@pytest.mark.parametrize(
    ("tokens", "lengths", "message"),
    [
        (
            torch.ones(1, 51, dtype=torch.int64),
            [51],
            "51 tokens is longer than 5 segments of 10; make a model with segments=6",
        ),
        (torch.full((1, 5), 16), [5], "token 16 is out of range; the model knows 0 to 15"),
        (torch.full((1, 5), -1), [5], "token -1 is out of range"),
        (torch.ones(1, 5, dtype=torch.int64), [0], "lengths must lie between 1 and 5"),
        (torch.ones(1, 5, dtype=torch.int64), [6], "lengths must lie between 1 and 5"),
    ],
)
def test_input_that_does_not_fit_is_refused(make_any, tokens, lengths, message):
    with pytest.raises(ModelError, match=message):
        make_any("rmaat")(tokens, torch.tensor(lengths), Amrb())


def test_lengths_that_do_not_match_the_batch_are_refused(make_any):
    for count in (0, 2):
        with pytest.raises(ModelError, match=f"1 sequences came with {count} lengths"):
            make_any("rmaat")._check(torch.ones(1, 5, dtype=torch.int64), torch.full((count,), 5))


def test_a_transformer_of_several_segments_is_refused_as_it_would_be_another_model():
    with pytest.raises(ParameterError, match="sees the whole sequence as one segment"):
        ModelParameters(architecture="transformer")


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ParameterError, match="3 heads do not divide a width of 64"):
        ModelParameters(heads=3)


def test_the_transformer_sees_the_whole_sequence_at_once():
    record = ModelParameters(segments=4, segment_length=50).as_architecture("transformer")
    assert (record.segments, record.segment_length, record.memory_tokens) == (1, 200, 0)
