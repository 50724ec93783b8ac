"""The causal form: no token sees a later one, memory goes on, and blocks equal the sum over each token's past."""

import pytest
import torch
from torch.nn import functional

from model.errors import ModelError
from model.layers.causal import BLOCK, causal_attention
from model.layers.fused import positive_features
from model.memory.differentiation import Amrb, Bptt, LayerwiseAmrb
from model.networks.build import build_language_model
from model.networks.parameters import ModelParameters
from model.training.measure import peak_memory

LENGTH, VOCABULARY = 10, 16


@pytest.fixture
def make_language_model(tables):
    def make(dtype=torch.float64, **changes):
        torch.manual_seed(1)
        small = {
            "width": 16, "heads": 2, "layers": 2, "feed_forward_width": 24, "memory_tokens": 3,
            "segment_length": LENGTH, "segments": 12, "retention": "streaming",
        }  # fmt: skip
        if changes.get("architecture") == "rlt":
            del small["retention"]
        return build_language_model(ModelParameters.from_dict(small | changes), tables).to(dtype)

    return make


@pytest.fixture
def tokens():
    return torch.randint(0, VOCABULARY, (2, 37), generator=torch.Generator().manual_seed(3))


def draw(tokens, features=3, values=4):
    generator = torch.Generator().manual_seed(tokens)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    return {
        "query": normal(2, 2, tokens, features),
        "key": normal(2, 2, tokens, features),
        "value": normal(2, 2, tokens, values),
        "astrocytic": normal(2, tokens, features).detach().exp().requires_grad_(),
        "valid": torch.rand(2, tokens, generator=generator) < 0.8,
        "exponent": torch.tensor(0.4, dtype=torch.float64, requires_grad=True),
        "scale": 0.3,
    }


def token_after_token(query, key, value, astrocytic, valid, exponent, scale):
    """The definition, with the state of a recurrent network."""
    read = torch.zeros(*query.shape[:3], value.shape[3], dtype=torch.float64)
    for sample in range(query.shape[0]):
        for head in range(query.shape[1]):
            memory = torch.zeros(query.shape[3], value.shape[3], dtype=torch.float64)
            key_sum = torch.zeros(query.shape[3], dtype=torch.float64)
            for token in range(query.shape[2]):
                if valid[sample, token]:
                    feature = positive_features(key[sample, head, token])
                    key_sum = key_sum + feature
                    trace = feature + astrocytic[head, token]
                    memory = memory + scale * trace[:, None] * value[sample, head, token]
                feature = positive_features(query[sample, head, token])
                plasticity = key_sum.clamp(min=1e-30) ** exponent
                read[sample, head, token] = feature @ memory / (feature @ plasticity)
    return read


@pytest.mark.parametrize("tokens", [1, 5, BLOCK, 2 * BLOCK + 7])
def test_blocks_are_the_sum_over_each_tokens_past(tokens):
    parts = draw(tokens)
    with torch.no_grad():
        torch.testing.assert_close(causal_attention(**parts)[0], token_after_token(**parts), rtol=1e-9, atol=1e-11)


def test_gradients_equal_finite_differences():
    parts = draw(4) | {"valid": torch.tensor([[True] * 4, [True, True, False, True]])}
    names = [name for name, x in parts.items() if isinstance(x, torch.Tensor) and x.requires_grad]

    def run(*leaves):
        return causal_attention(**(parts | dict(zip(names, leaves, strict=True))))[0]

    assert torch.autograd.gradcheck(run, [parts[name] for name in names])


@pytest.mark.parametrize("cut", [1, 30, BLOCK, 100])
def test_what_is_written_lets_attention_go_on_anywhere(cut):
    parts = draw(150)
    whole, end = causal_attention(**parts)
    sides = []
    for side in (slice(0, cut), slice(cut, 150)):
        piece = {name: parts[name][:, :, side] for name in ("query", "key", "value")}
        sides.append(parts | piece | {"astrocytic": parts["astrocytic"][:, side], "valid": parts["valid"][:, side]})
    first, written = causal_attention(**sides[0])
    second, last = causal_attention(**sides[1], written=written)
    torch.testing.assert_close(torch.cat([first, second], dim=2), whole, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(last, end, rtol=1e-10, atol=1e-12)


def test_memory_is_linear_in_the_number_of_tokens():
    def peak(tokens):
        parts = {name: x.float() if name != "valid" else x for name, x in draw(tokens).items() if name != "scale"}
        return peak_memory(lambda: causal_attention(**parts, scale=1.0)[0].sum().backward(), torch.device("cpu"))

    assert peak(8192) / peak(2048) < 4.5


@pytest.mark.parametrize("architecture", ["rmaat", "rlt"])
def test_a_changed_token_changes_what_follows_and_nothing_before(make_language_model, tokens, architecture):
    model = make_language_model(architecture=architecture)
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
@pytest.mark.parametrize("architecture", ["rmaat", "rlt"])
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
def test_tokens_that_do_not_fit_are_refused(make_language_model, tokens, message):
    with pytest.raises(ModelError, match=message):
        make_language_model()(tokens)


def test_a_stretch_with_nothing_to_predict_or_of_another_batch_is_refused(make_language_model, tokens):
    model = make_language_model()
    with pytest.raises(ModelError, match="a text of 1 tokens has none to predict"):
        model.loss(tokens[:, :1])
    with pytest.raises(ModelError, match="1 sequences came with the memory of 2"):
        model(tokens[:1], model(tokens)[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"retention": "increment"}, "needs the number of segments"),
        ({"architecture": "rmt"}, "rmt has no causal form"),
    ],
)
def test_what_has_no_causal_form_is_refused(tables, changes, message):
    with pytest.raises(ModelError, match=message):
        build_language_model(ModelParameters.from_dict(changes), tables)
