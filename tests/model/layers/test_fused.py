"""The fused attention has the values and gradients of the plain form, for any precision and mask."""

import pytest
import torch
from torch.nn import functional

from model.layers.attention import astromorphic_attention
from model.layers.fused import fused_attention, positive_features
from model.layers.rms_read import fused_rms_attention

BATCH, HEADS, TOKENS, FEATURES, VALUES = 2, 3, 7, 4, 5


@pytest.fixture
def inputs():
    """Projections, phi(R), mask and exponent in float64; all but the mask require gradients."""
    generator = torch.Generator().manual_seed(6)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    valid = torch.tensor([[True] * TOKENS, [True, False, True, True, False, False, False]])
    return {
        "query": draw(BATCH, HEADS, TOKENS, FEATURES),
        "key": draw(BATCH, HEADS, TOKENS, FEATURES),
        "value": draw(BATCH, HEADS, TOKENS, VALUES),
        "astrocytic": draw(HEADS, TOKENS, FEATURES).detach().exp().requires_grad_(),
        "valid": valid,
        "exponent": torch.tensor(0.4, dtype=torch.float64, requires_grad=True),
        "scale": 0.3,
    }


def plain(query, key, value, astrocytic, valid, exponent, scale):
    return astromorphic_attention(
        positive_features(query), positive_features(key), value, astrocytic, valid, exponent, scale
    )


def plain_rms(query, key, value, astrocytic, valid, scale):
    """The RMS-normalised read in plain form, for autograd."""
    rows = valid[:, None, :, None]
    traces = positive_features(key) * rows
    traces = traces if astrocytic is None else traces + astrocytic * rows
    read = positive_features(query) @ (scale * (traces.mT @ value))
    return read / (read.square().mean(dim=3, keepdim=True) + 1e-6).sqrt()


@pytest.mark.parametrize("read_rows", [TOKENS, 2])
@pytest.mark.parametrize("with_astrocyte", [True, False])
def test_the_fused_rms_read_has_the_values_and_gradients_of_the_plain_form(inputs, with_astrocyte, read_rows):
    del inputs["exponent"]
    inputs["query"] = inputs["query"][:, :, :read_rows].detach().requires_grad_()
    if not with_astrocyte:
        inputs["astrocytic"] = None
    leaves = [x for x in inputs.values() if isinstance(x, torch.Tensor) and x.requires_grad]
    weight = torch.randn(BATCH, HEADS, read_rows, VALUES, dtype=torch.float64)
    fused, expected = fused_rms_attention(**inputs), plain_rms(**inputs)
    torch.testing.assert_close(fused, expected, rtol=1e-12, atol=0)
    found, expected = (torch.autograd.grad(form, leaves, weight) for form in (fused, expected))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_each_head_of_the_rms_read_has_size_one_whatever_the_scale_and_reads_nothing_as_zero(inputs):
    del inputs["exponent"]
    for scale in (0.3, 300.0):
        read = fused_rms_attention(**(inputs | {"scale": scale}))
        assert (read.square().mean(dim=3) - 1).abs().max() < 1e-3
    empty = inputs | {"valid": torch.zeros_like(inputs["valid"])}
    read = fused_rms_attention(**empty)
    assert not read.any()
    assert not torch.autograd.grad(read.sum(), inputs["query"])[0].any()


def token_by_token(query, key, value, astrocytic, valid, exponent, scale):
    """The definition, one token at a time."""
    read = torch.zeros(BATCH, HEADS, query.shape[2], VALUES, dtype=torch.float64)

    def phi(x):
        return torch.where(x > 0, x + 1, x.exp())

    for sample in range(BATCH):
        for head in range(HEADS):
            memory, key_sum = torch.zeros(FEATURES, VALUES).double(), torch.zeros(FEATURES).double()
            for token in valid[sample].nonzero().flatten():
                feature = phi(key[sample, head, token])
                trace = feature if astrocytic is None else feature + astrocytic[head, token]
                memory += scale * trace[:, None] * value[sample, head, token]
                key_sum += feature
            for token in range(query.shape[2]):
                feature = phi(query[sample, head, token])
                read[sample, head, token] = feature @ memory / (feature @ key_sum**exponent)
    return read


@pytest.mark.parametrize("read_rows", [TOKENS, 2])
@pytest.mark.parametrize("with_astrocyte", [True, False])
def test_fused_attention_is_its_definition_token_by_token(inputs, with_astrocyte, read_rows):
    inputs["query"] = inputs["query"][:, :, :read_rows]
    if not with_astrocyte:
        inputs["astrocytic"] = None
    with torch.no_grad():
        torch.testing.assert_close(fused_attention(**inputs), token_by_token(**inputs), rtol=1e-12, atol=0)


@pytest.mark.parametrize("read_rows", [TOKENS, 2])
@pytest.mark.parametrize("with_astrocyte", [True, False])
def test_fused_gradients_equal_those_of_the_plain_form(inputs, with_astrocyte, read_rows):
    inputs["query"] = inputs["query"][:, :, :read_rows].detach().requires_grad_()
    if not with_astrocyte:
        inputs["astrocytic"] = None
    leaves = [x for x in inputs.values() if isinstance(x, torch.Tensor) and x.requires_grad]
    weight = torch.randn(BATCH, HEADS, read_rows, VALUES, dtype=torch.float64)
    found, expected = (torch.autograd.grad(form(**inputs), leaves, weight) for form in (fused_attention, plain))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_fused_gradients_equal_finite_differences(inputs):
    names = [name for name, x in inputs.items() if isinstance(x, torch.Tensor) and x.requires_grad]

    def run(*leaves):
        return fused_attention(**(inputs | dict(zip(names, leaves, strict=True))))

    assert torch.autograd.gradcheck(run, [inputs[name] for name in names])


def test_exponent_one_without_astrocyte_is_linear_attention(inputs):
    changed = {"astrocytic": None, "exponent": torch.ones(()), "scale": 1.0}
    weights = positive_features(inputs["query"]) @ positive_features(inputs["key"]).mT
    weights = weights * inputs["valid"][:, None, None, :]
    expected = (weights / weights.sum(-1, keepdim=True)) @ inputs["value"]
    torch.testing.assert_close(fused_attention(**(inputs | changed)), expected, rtol=1e-12, atol=0)


def test_masked_rows_change_nothing_and_get_no_gradient(inputs):
    masked = ~inputs["valid"][:, None, :, None]
    changed = {name: inputs[name] + 100 * masked for name in ("key", "value")}
    assert torch.equal(fused_attention(**inputs), fused_attention(**(inputs | changed)))
    gradients = torch.autograd.grad(fused_attention(**inputs).sum(), (inputs["key"], inputs["value"]))
    for gradient in gradients:
        assert not gradient.masked_select(masked).any()
    alone = inputs | {"valid": inputs["valid"] & torch.tensor([[False], [True]])}
    found = torch.autograd.grad(fused_attention(**alone)[1].sum(), inputs["astrocytic"])[0]
    assert not found[:, ~inputs["valid"][1]].any()


@pytest.mark.parametrize("empty", ["mask", "query", "key"])
def test_a_sample_that_writes_or_asks_nothing_reads_zeros_and_gives_no_gradient(inputs, empty):
    changed = {name: inputs[name].detach().float().requires_grad_() for name in ("query", "key", "value", "astrocytic")}
    changed["exponent"] = torch.tensor(0.4)
    if empty == "mask":
        changed["valid"] = torch.zeros_like(inputs["valid"])
    elif empty == "query":
        changed["query"] = torch.full_like(changed["query"], -200.0, requires_grad=True)
    else:
        changed["key"], changed["astrocytic"] = torch.full_like(changed["key"], -200.0, requires_grad=True), None
    read = fused_attention(**(inputs | changed))
    assert not read.any()
    for gradient in torch.autograd.grad(read.sum(), [changed["query"], changed["key"]]):
        assert not gradient.any()
    # The plain form does the same.
    assert not plain(**(inputs | changed)).any()


def test_under_autocast_only_the_inputs_are_rounded(inputs):
    """bfloat16 projections give the float64 result for the same rounded numbers, to the last digit of bfloat16."""
    tensors = ("query", "key", "value")
    rounded = inputs | {name: (4 * inputs[name]).detach().bfloat16().requires_grad_() for name in tensors}
    exact = rounded | {name: rounded[name].detach().double().requires_grad_() for name in tensors}
    rounded |= {name: inputs[name].detach().float() for name in ("astrocytic", "exponent")}
    with torch.autocast("cpu", torch.bfloat16):
        found = fused_attention(**rounded)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), plain(**exact), rtol=2**-8, atol=1e-6)
    weight = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    ours = torch.autograd.grad(found, [rounded[name] for name in tensors], weight.bfloat16())
    theirs = torch.autograd.grad(plain(**exact), [exact[name] for name in tensors], weight.bfloat16().double())
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == torch.bfloat16
        torch.testing.assert_close(one.double(), other, rtol=2**-7, atol=1e-5)


def test_the_graph_saves_the_projections_and_little_else(inputs):
    def kept(form):
        found = {}

        def note(x):
            found[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
            form(**inputs)
        given = {x.untyped_storage().data_ptr() for x in inputs.values() if isinstance(x, torch.Tensor)}
        return sum(size for pointer, size in found.items() if pointer not in given)

    assert kept(fused_attention) == 8 * BATCH * HEADS * (FEATURES * VALUES + FEATURES)
    assert kept(plain) > 5 * kept(fused_attention)


def test_a_second_derivative_is_refused_rather_than_wrong(inputs):
    first = torch.autograd.grad(fused_attention(**inputs).square().sum(), inputs["query"], create_graph=True)[0]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_features_match_elu_plus_one_and_its_slope():
    x = torch.linspace(-5, 5, 101, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(positive_features(x), functional.elu(x) + 1, rtol=1e-12, atol=1e-12)
