"""Operators and bytes of a step, against counts by hand, against steps with values, and against longer sequences."""

import pytest
import torch
from torch.nn import functional

from model.memory.differentiation import Amrb, Bptt, LayerwiseAmrb
from model.networks.build import build_model
from model.networks.parameters import ARCHITECTURES, ModelParameters
from model.training.step_launches import _count, _Counter, count_launches

SMALL = {"width": 16, "heads": 2, "feed_forward_width": 32, "segment_length": 10, "segments": 6}
CHECKS = 40
"""At most so many operators of a small step check values or convert a mask, which the meta device leaves out."""
METHODS = {"bptt": Bptt(), "amrb": Amrb(), "layerwise": LayerwiseAmrb()}


def record_of(architecture="rmaat", **changes):
    return ModelParameters.from_dict(SMALL | changes).as_architecture(architecture)


def test_a_linear_map_has_the_operators_and_bytes_that_a_hand_counts():
    layer, rows = torch.nn.Linear(3, 5).to("meta"), torch.ones((7, 3), device="meta")
    with _Counter() as forward:
        result = layer(rows)
    assert (forward.operators, forward.bytes) == (1, 4 * (5 + 7 * 3 + 3 * 5 + 7 * 5))
    gradient = torch.ones_like(result)
    with _Counter() as backward:
        result.backward(gradient)
    # The gradients of the weights (a product) and of the bias (a sum); the transposes are views.
    assert (backward.operators, backward.bytes) == (2, 4 * (7 * 5 + 7 * 3 + 3 * 5 + 7 * 5 + 5))


def test_an_expanded_tensor_counts_the_memory_that_it_has():
    one = torch.ones(1, device="meta")
    with _Counter() as counter:
        one.expand(1000).sum()
    assert counter.bytes == 8


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_step_with_values_has_the_same_operators_but_for_checks_of_values(tables, architecture):
    record = record_of(architecture, readout="every", segments=3)
    model = build_model(record, tables).train()
    tokens = torch.ones((2, record.longest_sequence), dtype=torch.long)
    with _Counter() as counter:
        logits = model(tokens, torch.full((2,), record.longest_sequence), Amrb())
        functional.cross_entropy(logits, torch.zeros(2, dtype=torch.long)).backward()
    counted = count_launches(record, tables, "amrb", record.segments, batch=2)
    assert 0 <= counter.operators - counted.operators <= CHECKS
    assert counter.bytes == pytest.approx(counted.bytes, rel=0.02)


@pytest.mark.parametrize("changes", [{"dropout": 0.1}, {"row_block": 9}], ids=str)
@pytest.mark.parametrize("method", ["bptt", "amrb", "layerwise"])
def test_a_long_sequence_is_counted_as_a_line_through_short_ones(tables, method, changes):
    record = record_of(layers=1, **changes)
    shorter, longer = (_count(record, tables, METHODS[method], segments, 1) for segments in (4, 5))
    counted = [count_launches(record, tables, method, segments) for segments in (4, 5)]
    assert counted == [shorter, longer]


def test_replay_repeats_the_operators_of_forward_passes(tables):
    record = record_of(readout="every")
    bptt, amrb = (count_launches(record, tables, method, 6) for method in ("bptt", "amrb"))
    kept = count_launches(record, tables, "amrb", 6, keep=6)
    assert bptt.operators < kept.operators < amrb.operators
    assert bptt.bytes < kept.bytes < amrb.bytes


def test_blocks_of_rows_start_more_operators(tables):
    at_once, blocks = (count_launches(record_of(row_block=size, layers=1), tables, "amrb", 2) for size in ("none", 6))
    assert blocks.operators > 2 * at_once.operators


def test_a_pair_counts_as_two_sequences(tables):
    pair, single = record_of(separator=5, pair_head="compared"), record_of()
    assert count_launches(pair, tables, "amrb", 4) == count_launches(single, tables, "amrb", 4, batch=2)


def test_more_features_move_more_bytes_with_as_many_operators(tables):
    narrow, wide = (count_launches(record_of(width=width), tables, "amrb", 4) for width in (16, 64))
    assert narrow.operators == wide.operators
    assert narrow.bytes < wide.bytes
