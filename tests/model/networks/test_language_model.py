"""The language model: no token sees a later one, and memory continues from segment to segment."""

import pytest
import torch
from torch.nn import functional

from model.errors import ModelError
from model.memory.differentiation import Amrb, Bptt, LayerwiseAmrb
from model.networks.build import build_language_model
from model.networks.parameters import ModelParameters

LENGTH, VOCABULARY = 10, 16


@pytest.fixture
def tokens():
    return torch.randint(0, VOCABULARY, (2, 37), generator=torch.Generator().manual_seed(3))


WHOLE = {"memory_tokens": 0, "segments": 1, "segment_length": 40}
"""One segment without memory, as architectures that are not recurrent have it."""
KINDS = [
    {"architecture": "rmaat"},
    {"architecture": "rlt"},
    {"architecture": "rmt"},
    {"architecture": "linear_transformer"} | WHOLE,
    {"architecture": "transformer"} | WHOLE,
    {"architecture": "astromorphic_transformer"} | WHOLE,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind["architecture"])
def test_a_changed_token_changes_only_logits_from_its_position_on(make_language_model, tokens, kind):
    model = make_language_model(**kind)
    logits, _ = model(tokens)
    for place in (0, 9, 10, 25, 36):
        changed = tokens.clone()
        changed[:, place] = (changed[:, place] + 1) % VOCABULARY
        other, _ = model(changed)
        assert torch.equal(other[:, :place], logits[:, :place])
        assert ((other - logits)[:, place:].abs().amax(dim=(0, 2)) > 1e-9).all()


def test_without_memory_tokens_nothing_passes_from_segment_to_segment(make_language_model, tokens):
    model = make_language_model(memory_tokens=0)
    changed = tokens.clone()
    changed[:, 0] = (changed[:, 0] + 1) % VOCABULARY
    assert torch.equal(model(tokens)[0][:, LENGTH:], model(changed)[0][:, LENGTH:])


def test_memory_carried_over_continues_the_text(make_language_model, tokens):
    model = make_language_model()
    whole, end = model(tokens)
    first, carried = model(tokens[:, : 2 * LENGTH])
    second, last = model(tokens[:, 2 * LENGTH :], carried)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(last.memory, end.memory, rtol=1e-12, atol=1e-12)
    assert last.segments == end.segments == 4


def test_the_loss_is_the_cross_entropy_of_the_logits(make_language_model, tokens):
    model = make_language_model()
    loss, _ = model.loss(tokens)
    logits, _ = model(tokens[:, :-1])
    torch.testing.assert_close(loss, functional.cross_entropy(logits.mT, tokens[:, 1:]), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("architecture", ["rmaat", "rlt", "rmt"])
def test_gradients_of_replay_equal_those_of_bptt_to_the_bit(make_language_model, tokens, architecture, dtype):
    model, found = make_language_model(dtype, architecture=architecture, dropout=0.1), []
    for way in (Bptt(), Amrb(), Amrb(keep=0), LayerwiseAmrb(), LayerwiseAmrb(keep=0)):
        model.zero_grad()
        torch.manual_seed(5)
        model.loss(tokens, differentiation=way)[0].backward()
        found.append([parameter.grad.clone() for parameter in model.parameters()])
    for bptt, *replayed in zip(*found, strict=True):
        assert bptt.any()
        assert all(torch.equal(bptt, gradient) for gradient in replayed)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (torch.zeros(2, 0, dtype=torch.int64), "at least one token"),
        (torch.zeros(5, dtype=torch.int64), r"of shape \(5,\)"),
        (torch.zeros(2, 5), "tokens are torch.float32"),
        (torch.full((2, 5), VOCABULARY), "token 16 is out of range"),
        (torch.zeros(2, 121, dtype=torch.int64), "segment 13 is beyond the 12 segments of the model"),
    ],
)
def test_invalid_tokens_are_refused(make_language_model, tokens, message):
    with pytest.raises(ModelError, match=message):
        make_language_model()(tokens)


def test_a_text_without_a_token_to_predict_or_of_another_batch_size_is_refused(make_language_model, tokens):
    model = make_language_model()
    with pytest.raises(ModelError, match="a text of 1 tokens has none to predict"):
        model.loss(tokens[:, :1])
    with pytest.raises(ModelError, match="1 sequences came with the memory of 2"):
        model(tokens[:1], model(tokens)[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"retention": "increment"}, "needs the number of segments"),
        ({"architecture": "s4d", "segments": 1, "memory_tokens": 0}, "s4d has no causal form"),
    ],
)
def test_a_model_without_causal_form_is_refused(tables, changes, message):
    with pytest.raises(ModelError, match=message):
        build_language_model(ModelParameters.from_dict(changes), tables)
