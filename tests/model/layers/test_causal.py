"""Causal attention in blocks equals the sum over each token's past, and continues from any cut."""

import pytest
import torch

from model.layers.attention import AstromorphicAttention, RelativePositions
from model.layers.causal import TOKENS_PER_BLOCK, CausalAttention, causal_attention, causal_rms_attention
from model.layers.fused import positive_features
from model.layers.positions import ExponentialKernel
from model.layers.rms_read import fused_rms_attention
from model.training.peak import peak_memory


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
    """The definition, as a recurrent network: one token after the other."""
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


@pytest.mark.parametrize("tokens", [1, 5, TOKENS_PER_BLOCK, 2 * TOKENS_PER_BLOCK + 7])
def test_blocks_are_the_sum_over_each_tokens_past(tokens):
    parts = draw(tokens)
    with torch.no_grad():
        torch.testing.assert_close(causal_attention(**parts)[0], token_after_token(**parts), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("tokens", [1, 5, TOKENS_PER_BLOCK, 2 * TOKENS_PER_BLOCK + 7])
def test_the_last_token_of_the_causal_rms_read_reads_as_the_plain_form_does(tokens):
    parts = draw(tokens)
    del parts["exponent"]
    last = parts | {"query": parts["query"][:, :, -1:]}
    found = causal_rms_attention(**parts)[0][:, :, -1:]
    torch.testing.assert_close(found, fused_rms_attention(**last), rtol=1e-9, atol=1e-11)


def test_the_normalised_count_of_a_token_is_the_plain_form_over_the_rows_up_to_it():
    torch.manual_seed(4)
    positions = RelativePositions(8, 2, 9, ExponentialKernel(0.9))
    causal = CausalAttention(8, 2, positions, 0.4, count="normalised").double()
    plain = AstromorphicAttention(8, 2, positions, 0.4, count="normalised").double()
    plain.load_state_dict(causal.state_dict())
    rows, shared = torch.randn(2, 9, 8, dtype=torch.float64), causal.shared()
    valid = torch.tensor([[True] * 9, [True] * 4 + [False] * 2 + [True] * 3])
    found = causal(rows, valid, shared, 9)
    for token in range(9):
        expected = plain(rows[:, : token + 1], valid[:, : token + 1], shared, token + 1)[:, -1]
        torch.testing.assert_close(found[:, token], expected, rtol=1e-11, atol=1e-12)


def test_gradients_equal_finite_differences():
    parts = draw(4) | {"valid": torch.tensor([[True] * 4, [True, True, False, True]])}
    names = [name for name, x in parts.items() if isinstance(x, torch.Tensor) and x.requires_grad]

    def run(*leaves):
        return causal_attention(**(parts | dict(zip(names, leaves, strict=True))))[0]

    assert torch.autograd.gradcheck(run, [parts[name] for name in names])


@pytest.mark.parametrize("cut", [1, 30, TOKENS_PER_BLOCK, 100])
def test_attention_continues_from_any_cut_given_what_was_written(cut):
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
