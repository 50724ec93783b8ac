"""The tables that come with the package are those that the package makes."""

import json

import numpy as np
import pytest

from distill import default_tables
from distill.schema import VARIANTS


@pytest.fixture(scope="module")
def shipped():
    return default_tables()


def test_making_the_shipped_tables_again_gives_the_same_numbers(shipped, tables):
    """After a change of the simulator: `write_tables(distil(simulate()), Path("distill/default_tables.nc"))`."""
    assert set(shipped.dataset.variables) == set(tables.dataset.variables)
    for name in tables.dataset.variables:
        ours, made = shipped.dataset[name], tables.dataset[name]
        assert ours.dims == made.dims
        if made.dtype.kind in "OU":
            assert ours.values.tolist() == made.values.tolist()
        else:
            # Errors and residuals of a law that is exact are those of solvers, and no machine's like another's.
            exact = 1e-7 if name.startswith(("law_", "increment_")) else 1e-12
            np.testing.assert_allclose(ours.values, made.values, rtol=1e-6, atol=exact, err_msg=name)


@pytest.mark.parametrize("name", ["parameters", "distill_parameters", "solver"])
def test_the_shipped_tables_were_made_with_the_parameters_of_today(shipped, tables, name):
    assert json.loads(shipped.dataset.attrs[name]) == json.loads(tables.dataset.attrs[name])


def test_the_shipped_tables_serve_64_segments_of_every_variant(shipped):
    assert shipped.longest == 64
    assert shipped.variants == VARIANTS
    assert shipped.dataset.attrs["engine"] == "scipy"
