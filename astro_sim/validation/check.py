"""One check of the models, and its outcome."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Check:
    """A quantity of our models compared with the same quantity from elsewhere.

    Attributes
    ----------
    quantity, unit : str
        Name and unit of the quantity. No two checks have the same name.
    published, tolerance : str
        The other value and its tolerance, as the table shows them.
    low, high : float
        The bounds, inclusive and in `unit`, between which our value passes.
    source : str
        The paper, or the independent code, that gives the other value.
    measure : callable
        Computes our value.
    needs : str
        An optional package that the check needs, or empty. Checks that need one run only on demand.
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
        """A check that passes from `low` to `high`, both included."""
        return cls(quantity, unit, f"{low:g} to {high:g}", "range", low, high, source, measure)


@dataclass(frozen=True)
class Outcome:
    """A check and the value that our models give."""

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
"""The header of the table whose rows are `Outcome.row`."""
