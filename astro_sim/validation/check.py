"""What one check of the models is, and what came of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Check:
    """A quantity of ours beside the same quantity of somebody else.

    Attributes
    ----------
    published, tolerance : str
        In words, as the table shows them.
    low, high : float
        The bounds, inclusive, within which our value passes; in `unit`.
    source : str
        Who says so, or what code that shares nothing with ours computed it.
    measure : callable
        Computes our value.
    needs : str
        A package that must be there, else empty; checks with needs are made on demand.
    """

    quantity: str
    unit: str
    published: str
    tolerance: str
    low: float
    high: float
    source: str
    measure: Callable[[], float]
    needs: str = ""

    @classmethod
    def relative(
        cls, quantity: str, unit: str, published: float, percent: float, source: str, measure: Callable[[], float]
    ) -> Self:
        """A check that passes within `percent` of the `published` value."""
        off = abs(published) * percent / 100
        return cls(
            quantity, unit, f"{published:g}", f"{percent:g} %", published - off, published + off, source, measure
        )

    @classmethod
    def absolute(
        cls, quantity: str, unit: str, published: float, off: float, source: str, measure: Callable[[], float]
    ) -> Self:
        """A check that passes within `off`, in `unit`, of the `published` value."""
        return cls(quantity, unit, f"{published:g}", f"{off:g}", published - off, published + off, source, measure)

    @classmethod
    def between(
        cls, quantity: str, unit: str, low: float, high: float, source: str, measure: Callable[[], float]
    ) -> Self:
        """A check that passes from `low` to `high`."""
        return cls(quantity, unit, f"{low:g} to {high:g}", "range", low, high, source, measure)


@dataclass(frozen=True)
class Outcome:
    """A check and the value that we found."""

    check: Check
    value: float

    @property
    def passed(self) -> bool:
        """Whether the value is finite and within the bounds."""
        return math.isfinite(self.value) and self.check.low <= self.value <= self.check.high

    def row(self) -> tuple[str, ...]:
        """Cells of a table: quantity, unit, ours, published, tolerance, verdict, source."""
        check = self.check
        verdict = "pass" if self.passed else "FAIL"
        return check.quantity, check.unit, f"{self.value:.4g}", check.published, check.tolerance, verdict, check.source


HEADER = ("quantity", "unit", "ours", "published", "tolerance", "verdict", "source")
"""Of the cells of `Outcome.row`."""
