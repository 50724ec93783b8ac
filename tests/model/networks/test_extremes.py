"""Models at the ends of their ranges: lengths, memory, batches, precision. Losses and gradients stay finite."""

from functools import partial

import pytest
import torch
from torch.nn import functional

from model.training.peak import peak_memory

LONGEST = 10**6
LONG = {
    "width": 4, "heads": 1, "layers": 1, "feed_forward_width": 4, "memory_tokens": 2, "segment_length": LONGEST // 64,
    "segments": 64,
}  # fmt: skip
RECURRENT = ("rmaat", "rmt", "rlt")


def step(model, tokens, precision=torch.float32):
    """The loss of one forward and backward pass."""
    batch, length = tokens.shape
    model.zero_grad()
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        logits = model(tokens, torch.full((batch,), length))
    loss = functional.cross_entropy(logits.float(), torch.zeros(batch, dtype=torch.long))
    loss.backward()
    return loss.detach()


def assert_finite(model, loss):
    assert loss.isfinite()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


def draw(batch, length):
    return torch.randint(1, 16, (batch, length), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("architecture", RECURRENT)
@pytest.mark.parametrize("memory_tokens", [0, 1, 40])
def test_one_sequence_is_learned_from_with_any_memory(make_model, architecture, memory_tokens):
    # A segment has 10 tokens: a memory of 40 rows is four times as large.
    model = make_model(torch.float32, architecture=architecture, memory_tokens=memory_tokens)
    assert_finite(model, step(model, draw(1, 33)))


@pytest.mark.parametrize("architecture", [*RECURRENT, "transformer", "linear_transformer", "s4d"])
def test_a_sequence_of_one_token_is_learned_from(make_model, architecture):
    sizes = {} if architecture in RECURRENT else {"segments": 1, "segment_length": 50, "memory_tokens": 0}
    model = make_model(torch.float32, architecture=architecture, **sizes)
    assert_finite(model, step(model, draw(1, 1)))


@pytest.mark.slow
def test_a_million_tokens_are_learned_from_in_the_memory_of_one_segment(make_model):
    model = make_model(torch.float32, **LONG)
    assert_finite(model, step(model, draw(1, LONGEST)))
    peaks = []
    for length in (LONGEST // 8, LONGEST):
        tokens = draw(1, length)
        peaks.append(peak_memory(partial(step, model, tokens), torch.device("cpu")))
    # What grows is the copy of the tokens, eight bytes each, and their mask. One row of floats would take 16 bytes.
    assert peaks[1] - peaks[0] < 10 * (LONGEST - LONGEST // 8)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("architecture", RECURRENT)
@pytest.mark.parametrize("factor", [1e-6, 1e3])
def test_tiny_and_huge_embeddings_give_finite_gradients_in_any_precision(make_model, architecture, precision, factor):
    model = make_model(torch.float32, architecture=architecture)
    with torch.no_grad():
        model.cell.embedding.weight.mul_(factor)
    assert_finite(model, step(model, draw(2, 33), precision))
