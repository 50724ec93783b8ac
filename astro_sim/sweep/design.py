"""The points of a sweep: all combinations of values on a grid, or points drawn at random.

| text | values |
| --- | --- |
| `1,2,5` or `linear,soft_bound` | exactly these |
| `1:5:9`, `1:5:9:log` | 9 values from 1 to 5 with equal differences or equal ratios; for a grid |
| `1:5`, `1:5:log` | any value from 1 to 5, uniform or uniform in its logarithm; for a random design |

Integers are rounded. Durations that must match stored times are rounded to multiples of `recording_interval`. Other
numbers are rounded to six digits, so that the printed values reproduce a point. If the length of cycles varies, their
number stays the same.
"""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import qmc

from astro_sim.durations import exact
from rmaat.base.errors import UsageError
from rmaat.base.records import ParameterError, Quantity, Record, unknown_name

DIGITS = 6
LARGEST_GRID = 10**6


@dataclass(frozen=True)
class Listed:
    """A list of values, numbers or words."""

    values: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """The value at the fraction `share`, in [0, 1), of the list."""
        return self.values[int(share * len(self.values))]

    def on_grid(self) -> tuple[Any, ...]:
        """All values."""
        return self.values


@dataclass(frozen=True)
class Span:
    """A range of values from `low` to `high`, uniform in the value or in its logarithm.

    Attributes
    ----------
    count : int, optional
        The number of values on a grid.

    Raises
    ------
    UsageError
        `low` is not below `high`, a logarithmic range starts at or below 0, or `count` is less than 2.
    """

    low: float
    high: float
    logarithmic: bool = False
    count: int | None = None

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise UsageError(f"the range from {self.low:g} to {self.high:g} is empty; write the smaller number first")
        if self.logarithmic and self.low <= 0:
            raise UsageError(f"{self.low:g} has no logarithm; start above 0, or remove :log")
        if self.count is not None and self.count < 2:
            raise UsageError(f"a range needs at least 2 values, found {self.count}")

    @property
    def values(self) -> tuple[float, float]:
        """Both ends of the range."""
        return self.low, self.high

    def at(self, share: float) -> float:
        """The value at the fraction `share`, in [0, 1], of the range."""
        if self.logarithmic:
            return self.low * (self.high / self.low) ** share
        return self.low + share * (self.high - self.low)

    def on_grid(self) -> tuple[float, ...]:
        """`count` values with both ends included; raises `UsageError` if there is no `count`."""
        if self.count is None:
            raise UsageError(
                f"a grid needs the number of values from {self.low:g} to {self.high:g}; write low:high:count"
            )
        return tuple(self.at(place / (self.count - 1)) for place in range(self.count))


Spread = Listed | Span


@dataclass(frozen=True)
class Design(ABC):
    """Values by parameter name, and the way to combine them into points."""

    axes: Mapping[str, Spread]

    @abstractmethod
    def combinations(self) -> list[tuple[Any, ...]]:
        """One tuple per point, with values in the order of `axes`."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The design as plain values, for a file or a log."""

    def rows(self, base: Record) -> list[dict[str, Any]]:
        """For each point, the new values by parameter name.

        Parameters
        ----------
        base : Record
            The parameters that the points change.

        Raises
        ------
        ParameterError
            A parameter does not exist in `base`, cannot vary, or has a value out of its bounds.
        UsageError
            The design has no points, or too many.
        """
        if not self.axes:
            raise UsageError("nothing varies; name at least one parameter and its values: --vary NAME=VALUES")
        known = {path[-1]: (value, quantity) for path, value, quantity in base.parameters()}
        for name, spread in self.axes.items():
            if name not in known:
                raise ParameterError(unknown_name("parameter", name, known))
            for value in spread.values:
                _check(name, value, *known[name])
        settle = {name: _rounding(base, name, known[name][0]) for name in self.axes}
        rows = [
            {name: settle[name](value) for name, value in zip(self.axes, values, strict=True)}
            for values in self.combinations()
        ]
        return [_with_whole_cycles(base, row) for row in rows]


@dataclass(frozen=True)
class GridDesign(Design):
    """All combinations of the values; the last parameter varies fastest."""

    def combinations(self) -> list[tuple[Any, ...]]:
        """As `Design.combinations`."""
        values = [spread.on_grid() for spread in self.axes.values()]
        if (points := math.prod(map(len, values))) > LARGEST_GRID:
            raise UsageError(f"the grid has {points} points, more than {LARGEST_GRID}; use fewer values, or --random")
        return list(itertools.product(*values))

    def describe(self) -> dict[str, Any]:
        """As `Design.describe`."""
        return {"kind": "grid", "values": {name: list(spread.on_grid()) for name, spread in self.axes.items()}}


METHODS: Mapping[str, Callable[..., Any]] = {
    "latin_hypercube": qmc.LatinHypercube,
    "sobol": qmc.Sobol,
}
"""SciPy's methods that spread random points evenly over the space."""


@dataclass(frozen=True)
class RandomDesign(Design):
    """`count` random points that fill the space evenly.

    Attributes
    ----------
    method : str
        A key of `METHODS`.
    seed : int
        Equal seeds give equal points.

    Raises
    ------
    UsageError
        The method is unknown, or `count` is out of its bounds, or a Sobol sequence gets a `count` that is not a power
        of 2, or a range has a `count`.
    """

    count: int
    method: str = "latin_hypercube"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(unknown_name("method", self.method, METHODS))
        if not 1 <= self.count <= LARGEST_GRID:
            raise UsageError(f"a random design has 1 to {LARGEST_GRID} points, found {self.count}; change the number")
        if self.method == "sobol" and self.count & (self.count - 1):
            raise UsageError(
                f"a Sobol sequence needs a power of 2 as number of points, found {self.count}; change the number"
            )
        for name, spread in self.axes.items():
            if isinstance(spread, Span) and spread.count is not None:
                raise UsageError(f"{name} has a number of values, which only a grid uses; write low:high")

    def combinations(self) -> list[tuple[Any, ...]]:
        """As `Design.combinations`."""
        shares = METHODS[self.method](len(self.axes), seed=self.seed).random(self.count)
        return [
            tuple(spread.at(float(share)) for spread, share in zip(self.axes.values(), point, strict=True))
            for point in shares
        ]

    def describe(self) -> dict[str, Any]:
        """As `Design.describe`."""
        axes = {
            name: list(spread.values)
            if isinstance(spread, Listed)
            else {"low": spread.low, "high": spread.high, "logarithmic": spread.logarithmic}
            for name, spread in self.axes.items()
        }
        return {"kind": "random", "method": self.method, "seed": self.seed, "count": self.count, "values": axes}


def parse_axes(texts: Sequence[str]) -> dict[str, Spread]:
    """Parse texts such as `coupling_strength=0.01:0.1:5` into values by parameter name.

    Raises
    ------
    UsageError
        A text is malformed, or a name is given twice.
    """
    axes: dict[str, Spread] = {}
    for text in texts:
        name, equals, values = (part.strip() for part in text.partition("="))
        if not equals or not values:
            raise UsageError(f"{text} has no values; write name=1,2,3, name=low:high:count or name=low:high")
        if name in axes:
            raise UsageError(f"{name} is given twice; give all its values together")
        axes[name] = _span(name, values) if ":" in values else Listed(tuple(map(_value, values.split(","))))
    return axes


def _span(name: str, text: str) -> Span:
    parts = [part.strip() for part in text.split(":")]
    logarithmic = parts[-1] == "log"
    numbers = parts[:-1] if logarithmic else parts
    try:
        low, high, *count = numbers
        return Span(float(low), float(high), logarithmic, *(int(entry) for entry in count))
    except (ValueError, TypeError):
        raise UsageError(
            f"{name}={text} is not a range; write low:high or low:high:count, optionally with :log at the end"
        ) from None


def _value(text: str) -> Any:
    text = text.strip()
    try:
        return float(text)
    except ValueError:
        return text


def _check(name: str, value: Any, own: Any, quantity: Quantity) -> None:
    if isinstance(own, bool | tuple):
        raise ParameterError(f"{name} is not a single number or word, so that it cannot be varied; vary another")
    if quantity.choices:
        if value not in quantity.choices:
            raise ParameterError(f"{name} is {value!r}; it must be one of {', '.join(quantity.choices)}")
    elif isinstance(own, int | float) and not (
        isinstance(value, int | float) and quantity.low <= value <= quantity.high
    ):
        unit = "" if quantity.unit == "1" else f" {quantity.unit}"
        raise ParameterError(
            f"{name} is {value}{unit}; it must lie between {quantity.low:g} and {quantity.high:g}{unit}"
        )


def _rounding(base: Any, name: str, own: Any) -> Callable[[Any], Any]:
    """A function that rounds a value of a range to a value that the parameter may have."""
    if isinstance(own, str):
        return str
    if isinstance(own, int):
        return round
    if name in base.protocol.stored_lengths:
        step = exact(base.recording.recording_interval)
        return lambda value: float(max(1, round(exact(value) / step)) * step)
    return lambda value: float(f"{value:.{DIGITS}g}")


def _with_whole_cycles(base: Any, row: dict[str, Any]) -> dict[str, Any]:
    """`row` with the run duration that keeps the number of cycles, if the row changes their length."""
    if "cycle_duration" not in row or "run_duration" in row:
        return row
    return row | {"run_duration": float(base.protocol.cycles * exact(row["cycle_duration"]))}
