"""Standard errors of the tables give a spread of factors and of the remaining memory."""

import numpy as np
import pytest

from distill import TableError, default_tables
from distill.tables import Tables
from distill.uncertainty import remaining_words, spread

SEGMENTS = 4


def with_errors(share: float) -> Tables:
    dataset = default_tables().dataset.copy()
    return Tables(
        dataset.assign(increment_error=dataset["increment_error"].copy(data=share * dataset["increment"].values))
    )


def test_tables_without_errors_have_no_spread():
    found = spread(with_errors(0.0), SEGMENTS, draws=5)
    np.testing.assert_allclose(found.factors, np.tile(default_tables().retention(SEGMENTS), (5, 1)))
    assert remaining_words(with_errors(0.0), SEGMENTS) == ""


def test_small_errors_spread_as_linear_propagation_says():
    share, tables = 0.01, with_errors(0.01)
    found = spread(tables, SEGMENTS, draws=20_000)
    factors = tables.retention(SEGMENTS)
    # d log RF_t = e_t - sum_i RF_i e_i, with independent errors e of relative size `share`.
    expected = factors * share * np.sqrt(1 - 2 * factors + np.sum(factors**2))
    np.testing.assert_allclose(found.factors.std(axis=0), expected, rtol=0.03)
    np.testing.assert_allclose(found.factors.sum(axis=1), 1)
    np.testing.assert_allclose(found.remaining[:, -1], 1)


def test_the_interval_of_the_remaining_share_holds_the_tables_own_and_grows_with_the_errors():
    own = default_tables().remaining(SEGMENTS)
    small, large = (spread(with_errors(share), SEGMENTS).interval("remaining") for share in (0.02, 0.1))
    assert (small[0, :-1] < own[:-1]).all()
    assert (own[:-1] < small[1, :-1]).all()
    assert (large[1] - large[0])[0] > 3 * (small[1] - small[0])[0]
    assert "95 % of 2000 tables drawn" in remaining_words(with_errors(0.1), SEGMENTS)


def test_errors_as_large_as_the_increments_keep_factors_positive():
    found = spread(with_errors(2.0), SEGMENTS, draws=500)
    assert (found.factors > 0).all()
    assert np.isfinite(found.remaining).all()


def test_too_many_segments_are_refused():
    with pytest.raises(TableError, match="made for 1 to 64 segments, not 65"):
        spread(default_tables(), 65)
