"""Retention factors of the model equal those of the tables, for every variant and number of segments."""

import pytest
import torch

from distill.schema import VARIANTS
from distill.tables import TableError
from model.memory.retention import build_retention

LONGEST = 6


@pytest.mark.parametrize("variant", VARIANTS)
def test_factors_of_a_batch_are_those_of_each_length(tables, variant):
    retention = build_retention(tables, LONGEST, variant)
    counts = torch.tensor([1, 4, LONGEST, 4])
    found = retention(LONGEST, counts)
    assert found.shape == (LONGEST, 4)
    for sample, count in enumerate(counts.tolist()):
        expected = torch.from_numpy(tables.retention(count, variant)).float()
        torch.testing.assert_close(found[:count, sample], expected, rtol=1e-6, atol=0)


def test_factors_are_saved_with_the_weights_and_not_learned(tables):
    for variant in ("increment", "horizon"):
        retention = build_retention(tables, LONGEST, variant)
        assert retention.state_dict()
        assert not list(retention.parameters())


def test_a_missing_variant_is_named(tables):
    with pytest.raises(TableError, match="sudden"):
        build_retention(tables, LONGEST, "sudden")
