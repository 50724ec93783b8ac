"""Each fast form of attention equals its plain form."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from model.layers.attention import (
    AstromorphicAttention,
    RelativePositions,
    SoftmaxAttention,
    astrocytic_features,
    astromorphic_attention,
    positive_features,
)
from model.layers.positions import ExponentialKernel

BATCH, HEADS, TOKENS, FEATURES = 2, 3, 7, 4


@pytest.fixture
def parts():
    generator = torch.Generator().manual_seed(5)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    query, key = (positive_features(draw(BATCH, HEADS, TOKENS, FEATURES)) for _ in range(2))
    valid = torch.tensor([[True] * TOKENS, [True] * 4 + [False] * 3])
    return query, key, draw(BATCH, HEADS, TOKENS, FEATURES), positive_features(draw(HEADS, TOKENS, FEATURES)), valid


def token_by_token(query, key, value, astrocytic, valid, exponent, scale):
    """The definition, one token, one feature and one value at a time."""
    read = torch.zeros_like(value)
    for sample in range(BATCH):
        rows = [token for token in range(TOKENS) if valid[sample, token]]
        for head in range(HEADS):
            for token in range(TOKENS):
                normaliser, numerator = 0.0, [0.0] * FEATURES
                for feature in range(FEATURES):
                    q = query[sample, head, token, feature].item()
                    total = sum(key[sample, head, row, feature].item() for row in rows)
                    normaliser += q * total**exponent
                    for column in range(FEATURES):
                        for row in rows:
                            trace = key[sample, head, row, feature].item()
                            if astrocytic is not None:
                                trace += astrocytic[head, row, feature].item()
                            numerator[column] += q * scale * trace * value[sample, head, row, column].item()
                for column in range(FEATURES):
                    read[sample, head, token, column] = numerator[column] / normaliser
    return read


@pytest.mark.parametrize("with_astrocyte", [True, False])
@pytest.mark.parametrize("exponent", [0.25, 1.0])
def test_attention_equals_the_token_by_token_definition(parts, with_astrocyte, exponent):
    query, key, value, astrocytic, valid = parts
    astrocytic = astrocytic if with_astrocyte else None
    found = astromorphic_attention(query, key, value, astrocytic, valid, torch.tensor(exponent), 0.3)
    expected = token_by_token(query, key, value, astrocytic, valid, exponent, 0.3)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("exponent", [0.25, 1.0])
def test_the_normalised_count_takes_means_in_place_of_sums_token_by_token(exponent):
    torch.manual_seed(2)
    positions = RelativePositions(8, 2, 6, ExponentialKernel(0.9))
    attention = AstromorphicAttention(8, 2, positions, exponent, 0.3, count="normalised").double()
    rows = torch.randn(2, 6, 8, dtype=torch.float64)
    valid = torch.tensor([[True] * 6, [True, True, False, False, False, False]])
    query, key, value = attention.project_in(rows).unflatten(2, (3, 2, 4)).unbind(2)
    query, key, shared = positive_features(query), positive_features(key), attention.shared()
    expected = torch.zeros(2, 6, 2, 4, dtype=torch.float64)
    for sample, head, token in itertools.product(range(2), range(2), range(6)):
        present = [row for row in range(6) if valid[sample, row]]
        traces = [
            (key[sample, row, head] + shared[0][head, row])[:, None] * value[sample, row, head] for row in present
        ]
        memory = 0.3 * sum(traces) / len(present)
        plasticity = (sum(key[sample, row, head] for row in present) / len(present)) ** exponent
        q = query[sample, token, head]
        expected[sample, token, head] = q @ memory / (q @ plasticity)
    found = attention(rows, valid, shared, 6)
    torch.testing.assert_close(found, attention.project_out(expected.flatten(2)), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("count", "gain"), [("rows", 8 ** (1 - 0.5)), ("normalised", 1.0)])
def test_the_gain_of_a_read_grows_with_the_rows_of_a_segment_unless_the_count_is_normalised(count, gain):
    torch.manual_seed(2)
    attention = AstromorphicAttention(8, 2, None, 0.5, count=count).double()
    attention.project_out = torch.nn.Identity()
    short = torch.randn(1, 5, 8, dtype=torch.float64)
    batch = torch.cat([short.repeat(1, 8, 1), functional.pad(short, (0, 0, 0, 35))])
    valid = torch.stack([torch.ones(40, dtype=torch.bool), torch.arange(40) < 5])
    long_read, short_read = attention(batch, valid, (), 5)
    torch.testing.assert_close(long_read, gain * short_read, rtol=1e-11, atol=1e-13)


def test_merged_write_is_two_writes(parts):
    query, key, value, astrocytic, valid = parts
    rows = valid[:, None, :, None]
    neuronal = (key * rows).mT @ value
    astrocytic_trace = (astrocytic * rows).mT @ value
    plasticity = (key * rows).sum(2, keepdim=True) ** 0.25
    expected = query @ (0.3 * (neuronal + astrocytic_trace)) / (query * plasticity).sum(3, keepdim=True)
    found = astromorphic_attention(query, key, value, astrocytic, valid, torch.tensor(0.25), 0.3)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_exponent_one_without_astrocyte_is_linear_attention(parts):
    query, key, value, _, valid = parts
    weights = (query @ key.mT) * valid[:, None, None, :]
    expected = (weights / weights.sum(-1, keepdim=True)) @ value
    found = astromorphic_attention(query, key, value, None, valid, torch.tensor(1.0), 1.0)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("tokens", [10, 4000])
def test_rows_of_the_projection_start_with_unit_length_for_any_segment(tokens):
    lengths = RelativePositions(64, 2, tokens, ExponentialKernel(0.9)).projection.norm(dim=2)
    assert lengths.shape == (2, 32)
    assert lengths.square().mean().item() == pytest.approx(1, rel=0.2)


def test_astrocytic_features_equal_their_definition():
    projection = torch.randn(HEADS, FEATURES, TOKENS, dtype=torch.float64)
    found = astrocytic_features(projection, ExponentialKernel(0.75).double())
    for head in range(HEADS):
        for token in range(TOKENS):
            for feature in range(FEATURES):
                total = sum(
                    projection[head, middle, token]
                    * projection[head, middle, i]
                    * math.exp(-0.75 * abs(i - j))
                    * projection[head, feature, j]
                    for middle in range(FEATURES)
                    for i in range(TOKENS)
                    for j in range(TOKENS)
                )
                expected = total + 1 if total > 0 else total.exp()
                torch.testing.assert_close(found[head, token, feature], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_features_are_elu_plus_one_without_its_cancellation(dtype):
    x = torch.tensor([-30.0, -8.0, -1.0, 0.0, 0.5, 3.0], dtype=dtype)
    exact = torch.where(x.double() > 0, x.double() + 1, x.double().exp())
    torch.testing.assert_close(positive_features(x).double(), exact, rtol=1e-6, atol=0)
    if dtype == torch.bfloat16:
        cancelled = (functional.elu(x) + 1).double()
        assert (cancelled[0] - exact[0]).abs() / exact[0] > 0.9


def kinds_of_attention(tokens=6):
    positions = RelativePositions(8, 2, tokens, ExponentialKernel(0.9))
    return (
        AstromorphicAttention(8, 2, positions, 0.4),
        AstromorphicAttention(8, 2, None, 1.0, 1.0),
        SoftmaxAttention(8, 2),
    )


@pytest.mark.parametrize("wanted", [0, 1, 4])
def test_computing_only_wanted_rows_does_not_change_them(wanted):
    rows, valid = torch.randn(3, 6, 8, dtype=torch.float64), torch.ones(3, 6, dtype=torch.bool)
    for kind in kinds_of_attention():
        attention = kind.double()
        whole, part = (attention(rows, valid, attention.shared(), count) for count in (6, wanted))
        torch.testing.assert_close(part, whole[:, :wanted], rtol=1e-12, atol=1e-14)


def test_without_positions_and_with_exponent_and_scale_one_it_is_linear_attention_token_by_token():
    attention, rows = AstromorphicAttention(8, 2, None, 1.0, 1.0).double(), torch.randn(1, 5, 8, dtype=torch.float64)
    valid = torch.tensor([[True, True, False, True, True]])
    query, key, value = attention.project_in(rows)[0].split(8, dim=1)
    expected = torch.zeros(5, 8, dtype=torch.float64)
    for head in (slice(0, 4), slice(4, 8)):
        for i in range(5):
            weights = [
                ((functional.elu(query[i, head]) + 1) @ (functional.elu(key[j, head]) + 1)) * valid[0, j]
                for j in range(5)
            ]
            expected[i, head] = sum(weights[j] * value[j, head] for j in range(5)) / sum(weights)
    torch.testing.assert_close(
        attention(rows, valid, (), 5)[0], attention.project_out(expected), rtol=1e-12, atol=1e-14
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_contents_of_masked_rows_do_not_matter(seed):
    torch.manual_seed(seed)
    for attention in kinds_of_attention():
        rows = torch.randn(1, 6, 8)
        valid = torch.tensor([[True, True, False, True, False, False]])
        other = torch.where(valid[:, :, None], rows, 100 * torch.randn(1, 6, 8))
        first, second = (attention(x, valid, attention.shared(), 6)[valid] for x in (rows, other))
        assert torch.equal(first, second)


def test_softmax_attention_equals_its_definition():
    attention = SoftmaxAttention(8, 2).double()
    rows = torch.randn(2, 5, 8, dtype=torch.float64)
    valid = torch.tensor([[True] * 5, [True, True, True, False, False]])
    query, key, value = attention.project_in(rows).split(8, dim=2)
    expected = []
    for head in (slice(0, 4), slice(4, 8)):
        scores = query[..., head] @ key[..., head].mT / 2
        weights = scores.masked_fill(~valid[:, None, :], -math.inf).softmax(-1)
        expected.append(weights @ value[..., head])
    found = attention(rows, valid, (), 5)
    torch.testing.assert_close(found, attention.project_out(torch.cat(expected, 2)), rtol=1e-10, atol=1e-12)
