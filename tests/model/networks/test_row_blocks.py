"""Rows in blocks: the plain form's numbers, less memory, and a gradient that replay and BPTT share to the bit.

`test_options.py` compares replay and BPTT, with dropout, for several settings.
"""

from functools import partial

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from model.errors import ModelError
from model.memory.differentiation import Amrb, Bptt, MemoryBudget
from model.networks.parameters import ARCHITECTURES, ModelParameters
from model.training.peak import peak_memory
from rmaat.base.records import ParameterError

OPTIONS = [
    {},
    {"norm": "pre"},
    {"architecture": "rlt"},
    {"exponent": "learned", "relative_positions": "learned"},
    {"plasticity_count": "normalised", "readout": "token"},
    {"read": "rms", "readout": "every"},
    {"local_mixing": 3},
    {"local_mixing": 3, "local_into": "rows", "norm": "pre"},
    {"local_mixing": 4, "local_side": "past", "norm": "pre"},
]


def logits_and_gradients(model, batch, way=Bptt()):  # noqa: B008 (frozen)
    tokens, lengths, labels = batch
    model.zero_grad()
    logits = model(tokens, lengths, way)
    functional.cross_entropy(logits, labels).backward()
    return logits.detach(), [part.grad.clone() for part in model.parameters() if part.grad is not None]


def assert_same_numbers(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("changes", OPTIONS, ids=str)
def test_blocks_have_the_numbers_of_the_plain_form(make_model, ragged_batch, changes):
    plain = logits_and_gradients(make_model(row_block="none", **changes), ragged_batch)
    # One row at a time; blocks that cut memory from tokens, and a shorter last one; a block as long as a segment.
    for size in (1, 2, 5, 13):
        assert_same_numbers(logits_and_gradients(make_model(row_block=size, **changes), ragged_batch), plain)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(1, 20), tokens=st.integers(1, 40), seed=st.integers(0, 100))
def test_any_size_of_blocks_and_any_length_have_the_numbers_of_the_plain_form(make_model, size, tokens, seed):
    batch = (
        torch.randint(1, 16, (2, tokens), generator=torch.Generator().manual_seed(seed)),
        torch.tensor([tokens, max(1, tokens // 2)]),
        torch.tensor([0, 1]),
    )
    plain, blocks = (logits_and_gradients(make_model(row_block=rows), batch, Amrb()) for rows in ("none", size))
    assert_same_numbers(blocks, plain)


def test_a_pass_without_gradient_has_the_bits_of_one_with(make_model, ragged_batch):
    tokens, lengths, _ = ragged_batch
    model = make_model(torch.float32, row_block=4)
    with torch.no_grad():
        expected = model(tokens, lengths)
    assert torch.equal(model(tokens, lengths), expected)


@pytest.mark.parametrize("changes", [{}, {"norm": "pre", "local_mixing": 3}], ids=str)
def test_replay_under_autocast_has_the_bits_of_bptt(make_model, ragged_batch, changes):
    model, found = make_model(torch.float32, row_block=4, dropout=0.1, **changes), []
    for way in (Bptt(), Amrb()):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16):
            found.append(logits_and_gradients(model, ragged_batch, way)[1])
    assert all(map(torch.equal, *found))
    with torch.autocast("cpu", torch.bfloat16):
        plain = logits_and_gradients(make_model(torch.float32, row_block="none", **changes), ragged_batch)[0]
        blocks = logits_and_gradients(make_model(torch.float32, row_block=4, **changes), ragged_batch)[0]
    torch.testing.assert_close(blocks, plain, rtol=0.05, atol=0.02)


def test_a_memory_budget_counts_what_blocks_keep(make_model):
    model = make_model(torch.float32, segment_length=1024, segments=4, feed_forward_width=64, row_block=128)
    batch = torch.randint(1, 16, (1, 4096)), torch.tensor([4096]), torch.tensor([0])
    peaks = {}
    for way in (Bptt(), Amrb(), MemoryBudget(4.0)):
        step = partial(logits_and_gradients, model, batch, way)
        step()
        peaks[type(way)] = peak_memory(step, torch.device("cpu")) / 1e6
    assert peaks[MemoryBudget] < 4.0
    assert peaks[Amrb] < peaks[Bptt]


def test_backward_leaves_the_random_state_and_may_run_twice(make_model, ragged_batch):
    tokens, lengths, labels = ragged_batch
    model = make_model(row_block=4, dropout=0.3)
    torch.manual_seed(1)
    loss = functional.cross_entropy(model(tokens, lengths, Bptt()), labels)
    before, found = torch.get_rng_state(), []
    for _ in range(2):
        model.zero_grad()
        loss.backward(retain_graph=True)
        found.append([part.grad.clone() for part in model.parameters() if part.grad is not None])
    assert torch.equal(torch.get_rng_state(), before)
    assert all(map(torch.equal, *found))


def test_backward_after_a_change_of_mode_has_the_masks_of_the_forward_pass(make_model, ragged_batch):
    tokens, lengths, labels = ragged_batch
    model, found = make_model(row_block=4, dropout=0.3), []
    for change in (model.train, model.eval):
        model.train().zero_grad()
        torch.manual_seed(1)
        loss = functional.cross_entropy(model(tokens, lengths, Bptt()), labels)
        change()
        loss.backward()
        found.append([part.grad.clone() for part in model.parameters() if part.grad is not None])
    assert all(map(torch.equal, *found))


def test_a_parameter_that_changes_before_backward_is_refused(make_model, ragged_batch):
    tokens, lengths, labels = ragged_batch
    model = make_model(row_block=4)
    loss = functional.cross_entropy(model(tokens, lengths, Bptt()), labels)
    with torch.no_grad():
        model.cell.blocks[0].feed_forward[0].bias.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_frozen_parameter_gets_no_gradient_and_changes_no_other(make_model, ragged_batch):
    whole = make_model(row_block=4)
    frozen = make_model(row_block=4)
    weight = "cell.blocks.1.attention.project_in.weight"
    dict(frozen.named_parameters())[weight].requires_grad_(False)
    for model in (whole, frozen):
        logits_and_gradients(model, ragged_batch)
    others = {name: part.grad for name, part in whole.named_parameters()}
    found = {name: part.grad for name, part in frozen.named_parameters()}
    assert found.pop(weight) is None
    assert_same_numbers(found, {name: others[name] for name in found})


@pytest.mark.parametrize("way", [Bptt(), Amrb()], ids=str)
def test_a_long_segment_needs_a_fraction_of_the_memory(make_model, way):
    batch = torch.randint(1, 16, (1, 4096)), torch.tensor([4096]), torch.tensor([0])

    def peak(rows):
        model = make_model(torch.float32, segment_length=4096, segments=1, feed_forward_width=64, row_block=rows)
        step = partial(logits_and_gradients, model, batch, way)
        step()
        return peak_memory(step, torch.device("cpu"))

    assert peak(256) < peak("none") / 3


def test_automatic_takes_blocks_for_long_segments_of_recurrent_linear_memories():
    def rows(**changes):
        return ModelParameters.from_dict({"segments": 2, **changes}).rows_at_once

    assert rows(segment_length=4095) == 0
    assert rows(segment_length=4096) == 512
    assert rows(segment_length=4096, row_block="none") == 0
    assert rows(segment_length=10, row_block=64) == 64
    long = ModelParameters(segment_length=4096, segments=2)
    taking = {name for name in ARCHITECTURES if long.as_architecture(name).rows_at_once}
    assert taking == {"rmaat", "rlt"}


@pytest.mark.parametrize("architecture", ["rmt", "transformer", "s4d"])
def test_architectures_without_sums_refuse_blocks(architecture):
    record = ModelParameters().as_architecture(architecture)
    with pytest.raises(ParameterError, match="row_block is 64, which means nothing"):
        ModelParameters.from_dict(record.to_dict() | {"row_block": 64})


def test_language_models_and_compiled_cells_refuse_a_number_of_rows(make_model, make_language_model):
    with pytest.raises(ModelError, match="leave row_block at automatic"):
        make_language_model(row_block=64)
    with pytest.raises(ModelError, match="row_block is 4, but a compiled cell"):
        make_model(row_block=4).compile_cell()
