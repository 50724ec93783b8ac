"""Standard errors of the tables carried through to the memory of a model: spread of factors and of what remains."""

from dataclasses import dataclass

import numpy as np

from distill.retention import increment_factors, remaining_shares
from distill.tables import Tables
from rmaat.base.arrays import Array

DRAWS = 2000
LEVELS = (2.5, 97.5)
"""Percentiles of the intervals that are shown."""
_LEAST = 1e-12
"""Share of the first increment that a drawn increment has at least, because an increment is positive."""


@dataclass(frozen=True, eq=False)
class Spread:
    """Draws of the factors and of the remaining shares of the variant increment.

    Attributes
    ----------
    factors, remaining : (draw, segment)
        RF(t, T), and the share of each segment's writing in the memory that segment T reads.
    """

    factors: Array
    remaining: Array

    def interval(self, name: str) -> Array:
        """The `LEVELS` of `factors` or `remaining`, (level, segment)."""
        return np.percentile(getattr(self, name), LEVELS, axis=0)


def spread(tables: Tables, segments: int, draws: int = DRAWS, seed: int = 0) -> Spread:
    """Draw tables for T = `segments` from the distribution that their standard errors give.

    Increments are drawn from independent normal distributions around the tables' own, with the errors of the tables.
    Increments of a fitted law have correlated errors, which the tables do not hold, so the intervals are approximate.

    Raises
    ------
    TableError
        The tables do not serve that many segments.
    """
    tables.retention_parts(segments)
    increments, errors = (tables.dataset[name].values[:segments] for name in ("increment", "increment_error"))
    noise = np.random.default_rng(seed).standard_normal((draws, segments))
    drawn = np.maximum(increments + errors * noise, _LEAST * increments[0])
    factors = np.stack([increment_factors(row, segments) for row in drawn])
    return Spread(factors, np.stack([remaining_shares(row) for row in factors]))


def remaining_words(tables: Tables, segments: int) -> str:
    """The remaining share of the first segment's writing with its interval, as a sentence; "" without errors."""
    if not (tables.dataset["increment_error"].values[:segments] > 0).any():
        return ""
    low, high = spread(tables, segments).interval("remaining")[:, 0]
    share = tables.remaining(segments)[0]
    return (
        f"left of segment 1's writing when segment {segments} reads: {share:.2e} ({low:.2e} to {high:.2e}, "
        f"{LEVELS[1] - LEVELS[0]:g} % of {DRAWS} tables drawn from the standard errors)"
    )
