"""Options of the model that are ours: what each computes, and that replay keeps the gradient to the bit."""

import pytest
import torch


@pytest.fixture
def memory():
    return torch.randn(2, 3, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(4))


def segment(tokens=10):
    generator = torch.Generator().manual_seed(5)
    return torch.randint(1, 16, (2, tokens), generator=generator), torch.ones(2, tokens, dtype=torch.bool)


def test_positions_are_added_to_tokens_and_not_to_memory_rows(make_model, memory):
    cell = make_model().cell
    assert cell.positions.shape == (10, 16)
    rows = cell.segment_rows(segment(), memory)
    assert torch.equal(rows[:, :3], memory)
    torch.testing.assert_close(rows[:, 3:] - cell.embedding(segment()[0]), cell.positions.expand(2, -1, -1))


def test_both_copies_of_the_memory_enter_the_causal_form_without_positions(make_language_model, memory):
    cell = make_language_model().cell
    assert cell.positions.shape == (10, 16)
    rows = cell.segment_rows(segment(), memory)
    assert torch.equal(rows[:, :3], memory)
    assert torch.equal(rows[:, 13:], memory)
