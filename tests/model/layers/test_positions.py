"""Fast products with a relative position kernel equal products with its dense matrix."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.layers.positions import (
    BLOCK,
    DENSE_TOKENS,
    ExponentialKernel,
    LearnedExponentialKernel,
    MeasuredKernel,
    decay_matrix,
    exponential_product,
    exponential_scan,
    kernel_matrix,
    kernel_product,
    shuffled_decay,
)
from model.training.measure import peak_memory

LENGTHS = [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 300, BLOCK**2 + 3]


def rows(tokens, dtype=torch.float64):
    return torch.randn(2, 3, tokens, generator=torch.Generator().manual_seed(tokens), dtype=dtype)


@given(tokens=st.integers(1, 30), decay=st.floats(0.01, 5))
def test_decay_matrix_is_symmetric_one_on_its_diagonal_and_multiplies_along_distance(tokens, decay):
    matrix = decay_matrix(tokens, torch.tensor(decay, dtype=torch.float64))
    assert torch.equal(matrix, matrix.T)
    assert torch.equal(matrix.diagonal(), torch.ones(tokens, dtype=torch.float64))
    if tokens > 2:
        torch.testing.assert_close(matrix[0, 1] * matrix[1, 2], matrix[0, 2], rtol=1e-12, atol=0)


@pytest.mark.parametrize("decay", [0.0, 0.003, 0.7, 30.0])
@pytest.mark.parametrize("tokens", LENGTHS)
def test_two_scans_equal_the_dense_product(tokens, decay):
    decay = torch.tensor(decay, dtype=torch.float64)
    expected = rows(tokens) @ decay_matrix(tokens, decay)
    torch.testing.assert_close(exponential_product(rows(tokens), decay), expected, rtol=1e-10, atol=1e-11)


def test_the_scan_is_its_recurrence():
    x, a = rows(150), math.exp(-0.2)
    found, state = exponential_scan(x, torch.tensor(0.2, dtype=torch.float64)), torch.zeros(2, 3, dtype=torch.float64)
    for token in range(150):
        state = a * state + x[..., token]
        torch.testing.assert_close(found[..., token], state, rtol=1e-11, atol=1e-12)


def test_in_float32_the_scans_are_as_near_to_the_exact_product_as_the_dense_one():
    x, decay = rows(2000, torch.float32), torch.tensor(0.05)
    exact = x.double() @ decay_matrix(2000, decay.double())
    scans, dense = exponential_product(x, decay), x @ decay_matrix(2000, decay)
    errors = [((found.double() - exact).norm() / exact.norm()).item() for found in (scans, dense)]
    assert errors[0] < 3e-7
    assert errors[0] < 2 * errors[1]


@pytest.mark.parametrize("tokens", [5, BLOCK + 6])
def test_gradients_of_rows_and_decay_equal_finite_differences(tokens):
    x, decay = rows(tokens)[0, :1].requires_grad_(), torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(exponential_product, (x, decay))


@pytest.mark.parametrize("tokens", LENGTHS)
def test_the_product_by_fft_equals_the_dense_product_for_any_kernel(tokens):
    weights = torch.randn(tokens, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = rows(tokens) @ kernel_matrix(weights)
    torch.testing.assert_close(kernel_product(rows(tokens), weights), expected, rtol=1e-9, atol=1e-9)


def test_a_kernel_depends_on_distance_alone():
    weights = torch.tensor([5.0, 3.0, 2.0])
    assert kernel_matrix(weights).tolist() == [[5, 3, 2], [3, 5, 3], [2, 3, 5]]


@pytest.mark.parametrize("tokens", [DENSE_TOKENS, DENSE_TOKENS + 1])
def test_kernels_give_the_same_product_on_both_sides_of_the_change_of_method(tokens):
    expected = rows(tokens) @ decay_matrix(tokens, torch.tensor(0.4, dtype=torch.float64))
    weights = torch.exp(-0.4 * torch.arange(tokens, dtype=torch.float64))
    for kernel in (ExponentialKernel(0.4).double(), LearnedExponentialKernel(0.4).double(), MeasuredKernel(weights)):
        torch.testing.assert_close(kernel(rows(tokens)), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("tokens", [DENSE_TOKENS, DENSE_TOKENS + 1])
def test_a_learned_decay_gets_its_gradient_and_stays_positive(tokens):
    kernel = LearnedExponentialKernel(0.4).double()
    target = rows(tokens) @ decay_matrix(tokens, torch.tensor(0.2, dtype=torch.float64))
    optimizer = torch.optim.SGD(kernel.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        (kernel(rows(tokens)) - target).square().mean().backward()
        optimizer.step()
    assert kernel.log_decay.exp().item() == pytest.approx(0.2, rel=0.05)


def test_no_square_matrix_is_made_for_long_sequences():
    tokens = 8192
    x = torch.randn(1, 4, tokens, requires_grad=True)
    for kernel in (ExponentialKernel(0.4), MeasuredKernel(torch.rand(tokens))):
        peak = peak_memory(lambda kernel=kernel: kernel(x).sum().backward(), torch.device("cpu"))
        assert peak < 20 * 4 * 4 * tokens


def test_the_random_kernel_has_the_strengths_of_the_decaying_one_in_another_order():
    for tokens in (1, 2, 40, 300):
        decaying, random = torch.exp(-0.05 * torch.arange(tokens)), shuffled_decay(tokens, 0.05)
        assert random[0] == 1
        assert torch.equal(random.sort().values, decaying.sort().values)
    near, far = random[1:100].mean(), random[-100:].mean()
    assert decaying[1:100].mean() > 10 * decaying[-100:].mean()
    assert near < 3 * far < 9 * near


def test_the_random_kernel_is_the_same_for_every_seed_of_the_model():
    torch.manual_seed(1)
    first = shuffled_decay(50, 0.1)
    torch.manual_seed(2)
    assert torch.equal(first, shuffled_decay(50, 0.1))
