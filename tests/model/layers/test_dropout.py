"""Dropout from bytes: its twin is torch's dropout, with the same mean, spread and gradient."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from model.layers.dropout import STEPS, Dropout


@given(st.floats(0, 0.9), st.lists(st.integers(0, 9), min_size=1, max_size=3))
def test_kept_features_are_scaled_and_the_others_are_zero_in_any_shape(probability, shape):
    rows, layer = torch.randn(shape), Dropout(probability)
    share = layer.dropped / STEPS
    assert abs(share - probability) <= 0.5 / STEPS
    dropped = layer(rows)
    kept = dropped != 0
    assert dropped.shape == rows.shape
    torch.testing.assert_close(dropped[kept], (rows / (1 - share))[kept])


@pytest.mark.parametrize("twin", [Dropout, nn.Dropout])
def test_share_of_dropped_features_and_mean_are_those_of_the_binomial_law(twin):
    torch.manual_seed(1)
    share, count = 64 / STEPS, 400_000
    dropped = twin(share)(torch.ones(count))
    error = (share * (1 - share) / count) ** 0.5
    assert abs((dropped == 0).double().mean().item() - share) < 4 * error
    assert abs(dropped.double().mean().item() - 1) < 4 * error / (1 - share)


def test_all_eight_bytes_of_an_integer_drop_alike_and_independently():
    torch.manual_seed(2)
    kept = (Dropout(0.5)(torch.ones(8 * 50_000)) != 0).double().view(-1, 8)
    # Standard errors: 0.5 / sqrt(50,000) of a mean, 1 / sqrt(50,000) of a correlation.
    assert (kept.mean(dim=0) - 0.5).abs().max() < 4.5 * 0.5 / 50_000**0.5
    assert (torch.corrcoef(kept.T) - torch.eye(8)).abs().max() < 4.5 / 50_000**0.5


def test_gradient_is_that_of_the_same_mask():
    rows = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)

    def dropped(rows):
        torch.manual_seed(3)
        return Dropout(0.3)(rows)

    assert torch.autograd.gradcheck(dropped, rows)


def test_seed_repeats_the_mask_and_the_next_call_draws_another():
    layer, rows = Dropout(0.5), torch.ones(64)
    masks = []
    for _ in range(2):
        torch.manual_seed(4)
        masks.append((layer(rows), layer(rows)))
    assert torch.equal(masks[0][0], masks[1][0])
    assert torch.equal(masks[0][1], masks[1][1])
    assert not torch.equal(masks[0][0], masks[0][1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_precision_stays(dtype):
    assert Dropout(0.1)(torch.ones(3, dtype=dtype)).dtype == dtype


def test_evaluation_and_a_probability_of_zero_change_nothing_and_draw_nothing():
    rows, state = torch.randn(3, 4), torch.get_rng_state()
    assert Dropout(0.5).eval()(rows) is rows
    assert Dropout(0.001)(rows) is rows
    assert torch.equal(torch.get_rng_state(), state)


def test_backward_keeps_one_byte_per_feature():
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor) or tensor, lambda tensor: tensor):
        Dropout(0.1)(torch.ones(64, requires_grad=True))
    assert sum(tensor.nbytes for tensor in saved) == 64
