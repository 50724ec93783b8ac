"""One check of the models, where its reference comes from, and its outcome."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from rmaat.base.errors import Interrupted


class Kind(StrEnum):
    """How independent of our code a reference is, from the most to the least."""

    PUBLISHED = "published"
    OTHER_CODE = "other code"
    CLOSED_FORM = "closed form"
    OWN_PROTOTYPE = "own prototype"
    SELF_CONSISTENCY = "self-consistency"


MEANINGS = {
    Kind.PUBLISHED: "a paper prints the number",
    Kind.OTHER_CODE: "code of other authors gives the number",
    Kind.CLOSED_FORM: "a formula gives the number",
    Kind.OWN_PROTOTYPE: "code that we wrote a second time, from the equations, gives the number",
    Kind.SELF_CONSISTENCY: "another part of the checked code gives the number",
}
"""What each kind of reference is, for the page."""


@dataclass(frozen=True)
class Origin:
    """Where a reference comes from: its kind, and the paper, code or formula."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Check:
    """A quantity of our models compared with the same quantity from elsewhere.

    Attributes
    ----------
    quantity, unit : str
        Name and unit of the quantity. No two checks have the same name.
    reference, tolerance : str
        The other value and its tolerance, as the table shows them.
    low, high : float
        The bounds, inclusive and in `unit`, between which our value passes.
    origin : Origin
        Where the other value comes from.
    measure : callable
        Computes our value.
    needs : str
        An optional package that the check needs, or empty. Checks that need one run only on demand.
    """

    quantity: str
    unit: str
    reference: str
    tolerance: str
    low: float
    high: float
    origin: Origin
    measure: Callable[[], float]
    needs: str = ""

    @classmethod
    def relative(
        cls, quantity: str, unit: str, reference: float, percent: float, origin: Origin, measure: Callable[[], float]
    ) -> Self:
        """A check that passes within `percent` of the `reference`."""
        off = abs(reference) * percent / 100
        return cls(
            quantity, unit, f"{reference:g}", f"{percent:g} %", reference - off, reference + off, origin, measure
        )

    @classmethod
    def absolute(
        cls, quantity: str, unit: str, reference: float, off: float, origin: Origin, measure: Callable[[], float]
    ) -> Self:
        """A check that passes within `off`, in `unit`, of the `reference`."""
        return cls(quantity, unit, f"{reference:g}", f"{off:g}", reference - off, reference + off, origin, measure)

    @classmethod
    def between(
        cls, quantity: str, unit: str, low: float, high: float, origin: Origin, measure: Callable[[], float]
    ) -> Self:
        """A check that passes from `low` to `high`, both included."""
        return cls(quantity, unit, f"{low:g} to {high:g}", "range", low, high, origin, measure)


@dataclass(frozen=True)
class Outcome:
    """A check and the value that our models give.

    Attributes
    ----------
    value : float
        In the check's unit; NaN if the computation raised an exception.
    error : Exception, optional
        The exception.
    """

    check: Check
    value: float
    error: Exception | None = None

    @classmethod
    def of(cls, check: Check) -> Self:
        """Measure `check`. An exception makes the outcome fail, so that one broken part hides no other row."""
        try:
            return cls(check, check.measure())
        except Interrupted:
            raise
        except Exception as error:
            return cls(check, math.nan, error)

    @property
    def passed(self) -> bool:
        """Whether the value is finite and within the bounds."""
        return math.isfinite(self.value) and self.check.low <= self.value <= self.check.high

    @property
    def description(self) -> str:
        """The quantity, and the exception if there was one: `"period (ValueError: math domain error)"`."""
        cause = f" ({type(self.error).__name__}: {self.error})" if self.error else ""
        return self.check.quantity + cause

    def row(self) -> tuple[str, ...]:
        """Cells of a table, as in `HEADER`; the name of an exception replaces our value."""
        check = self.check
        ours = type(self.error).__name__ if self.error else f"{self.value:.4g}"
        verdict = "pass" if self.passed else "FAIL"
        kind, text = check.origin.kind, check.origin.text
        return check.quantity, check.unit, ours, check.reference, check.tolerance, verdict, kind, text


HEADER = ("quantity", "unit", "ours", "reference", "tolerance", "verdict", "kind", "source")
"""The header of the table whose rows are `Outcome.row`."""
