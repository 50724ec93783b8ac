"""Causal softmax attention is a loop over the rows that each row may read, as a whole and in parts."""

import pytest
import torch

from model.layers.attention import split_heads
from model.layers.causal_softmax import CausalSoftmaxAttention

WIDTH, HEADS, TOKENS = 8, 2, 6


def layer(memory):
    torch.manual_seed(3)
    return CausalSoftmaxAttention(WIDTH, HEADS, TOKENS + 2 * memory, memory).double()


def draw(attention):
    generator = torch.Generator().manual_seed(4)
    return torch.randn(2, attention.rows, WIDTH, generator=generator, dtype=torch.float64)


def readable_rows(row, memory, rows):
    """RMT's rule in words: memory at the end reads all, memory in front reads itself, a token reads its past."""
    if row >= rows - memory:
        return range(rows)
    if row < memory:
        return range(memory)
    return range(row + 1)


def row_after_row(attention, rows, valid):
    """The definition: for each row the mean of the values that it may read, weighted by exp(q . k / sqrt(features))."""
    query, key, value = split_heads(attention.project_in(rows), HEADS, 3)
    read = torch.zeros_like(query)
    for sample in range(rows.shape[0]):
        for head in range(HEADS):
            for row in range(rows.shape[1]):
                others = [
                    other
                    for other in readable_rows(row, attention.memory_tokens, rows.shape[1])
                    if valid[sample, other]
                ]
                strengths = [torch.dot(query[sample, head, row], key[sample, head, other]) for other in others]
                weights = [torch.exp(strength / (WIDTH / HEADS) ** 0.5) for strength in strengths]
                for weight, other in zip(weights, others, strict=True):
                    read[sample, head, row] += weight / sum(weights) * value[sample, head, other]
    return attention.project_out(read.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("memory", [0, 1, 3])
def test_a_segment_is_read_as_the_loop_over_its_rows_reads_it(memory):
    attention = layer(memory)
    rows, valid = draw(attention), torch.ones(2, attention.rows, dtype=torch.bool)
    valid[1, memory + 4 : memory + TOKENS] = False
    with torch.no_grad():
        found = attention(rows, valid, (), attention.rows)
        torch.testing.assert_close(found, row_after_row(attention, rows, valid), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("cuts", [(), (4,), (3, 4, 8)])
def test_rows_read_in_parts_give_the_same_as_the_whole_segment(cuts):
    attention = layer(memory=2)
    rows, valid = draw(attention), torch.ones(2, attention.rows, dtype=torch.bool)
    parts, written, first = [], None, 0
    with torch.no_grad():
        # A stream feeds both groups of memory rows whole, and tokens in any number.
        for part in rows.tensor_split(sorted({2, attention.rows - 2, *cuts}), dim=1):
            read, written = attention.advance(part, valid[:, : part.shape[1]], (), first, written)
            parts.append(read)
            first += part.shape[1]
        whole = attention(rows, valid, (), attention.rows)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-11, atol=1e-12)
