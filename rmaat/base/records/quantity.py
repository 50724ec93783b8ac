"""One parameter: its meaning, unit, bounds and source, and the checks of its value.

`read_value` converts text from a file or a command line; `check_unit` checks its unit. `check_value` checks type,
choices and bounds each time a record is constructed. Values set in Python carry no unit.
"""

import dataclasses
import difflib
import math
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rmaat.base.errors import UsageError

WORD_OR_NUMBER: dict[Any, type] = {str | float: float, str | int: int}
"""The type of a number, for each type of a field that is one of its choices or a number."""


class ParameterError(UsageError):
    """An unknown parameter, or a value with a wrong type, a wrong unit or outside its bounds."""


class Source(StrEnum):
    """Where a default value comes from. Values that we chose are marked as ours."""

    PAPER = "the RMAAT paper (arXiv 2601.00426)"
    PARENT = "a parent paper (AT, arXiv 2312.10925; NAAM, arXiv 2311.08135)"
    READER = "a reader of the RMAAT paper"
    BENCHMARK = "the Long Range Arena (arXiv 2011.04006)"
    # Stored traces contain this text for each parameter, so it stays unchanged.
    OURS = "our default; no public text says"


@dataclass(frozen=True)
class Quantity:
    """The description of one parameter; the unit "1" means dimensionless, and bounds are inclusive.

    The value of a field `str | float` or `str | int` is one of the choices, or a number between the bounds.
    """

    meaning: str
    unit: str
    low: float
    high: float
    source: StrEnum
    symbol: str
    choices: tuple[str, ...]
    reference: str = ""

    @property
    def bounds(self) -> str:
        """The bounds as `low to high`, or `low or more` without an upper one."""
        return f"{_shown(self.low)} or more" if self.high == math.inf else f"{_shown(self.low)} to {_shown(self.high)}"

    @property
    def said_by(self) -> str:
        """The `reference` if there is one, else the source."""
        return self.reference or self.source.value


def _shown(bound: float) -> str:
    return f"{bound:.10g}" if isinstance(bound, float) else str(bound)


def parameter(
    default: Any,
    meaning: str,
    *,
    unit: str = "1",
    low: float = -math.inf,
    high: float = math.inf,
    source: StrEnum = Source.OURS,
    symbol: str = "",
    choices: tuple[str, ...] = (),
    reference: str = "",
) -> Any:
    """A dataclass field with its `Quantity`.

    `symbol` is the letter in the papers. `reference` cites the publication of the value and replaces `source`.
    """
    quantity = Quantity(meaning, unit, low, high, source, symbol, choices, reference)
    return dataclasses.field(default=default, metadata={"quantity": quantity})


def check_value(name: str, value: Any, hint: Any, quantity: Quantity | None) -> Any:
    """Return `value`, converted to float if the field is a float, so that equal records are saved alike.

    Fields without a `quantity`, such as nested records, are checked for their type only.

    Raises
    ------
    ParameterError
        The value has another type, is not finite, is outside the bounds or is not one of the choices.
    """
    if hint in WORD_OR_NUMBER:
        return check_value(name, value, str if isinstance(value, str) else WORD_OR_NUMBER[hint], quantity)
    kind = int | float if hint is float else typing.get_origin(hint) or hint
    # True is an int for Python, but not for a parameter.
    if not isinstance(value, kind) or (isinstance(value, bool) and hint is not bool):
        raise _type_error(name, value, hint)
    if quantity is None:
        return value
    if isinstance(value, tuple):
        return tuple(check_value(name, item, typing.get_args(hint)[0], quantity) for item in value)
    if quantity.choices and isinstance(value, str) and value not in quantity.choices:
        raise ParameterError(f"{name} is {value!r}; it must be one of {', '.join(quantity.choices)}")
    if hint in (int, float) and not isinstance(value, str):
        _check_bounds(name, value, quantity)
    return float(value) if hint is float else value


def _check_bounds(name: str, value: float, quantity: Quantity) -> None:
    # A comparison with NaN is false, so this refuses NaN too.
    if not quantity.low <= value <= quantity.high or abs(value) == math.inf:
        unit = "" if quantity.unit == "1" else f" {quantity.unit}"
        between = f"lie between {_shown(quantity.low)} and {_shown(quantity.high)}"
        wanted = f"be {quantity.bounds}" if quantity.high == math.inf else between
        raise ParameterError(f"{name} is {value}{unit}; it must {wanted}{unit}")


def read_value(name: str, value: Any, hint: Any, quantity: Quantity) -> Any:
    """Convert `value` from a file or a command line to the type `hint`; bounds are checked later by `check_value`.

    Raises
    ------
    ParameterError
        The value has another type or another unit.
    """
    if typing.get_origin(hint) is tuple and not isinstance(value, Mapping):
        if value is None or value in ("", "none"):
            return ()
        if isinstance(value, str):
            value = [item.strip() for item in value.split(",")]
        # One number is a list of one.
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(read_value(name, item, typing.get_args(hint)[0], quantity) for item in items)
    if hint in WORD_OR_NUMBER:
        return value if value in quantity.choices else _read_number(name, value, WORD_OR_NUMBER[hint], quantity)
    if hint is str and isinstance(value, str):
        return value
    if hint is bool and str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    if hint in (int, float) and not isinstance(value, bool):
        return _read_number(name, value, hint, quantity)
    raise _type_error(name, value, hint)


def _read_number(name: str, value: Any, hint: type, quantity: Quantity) -> Any:
    """The number in `value`, such as "3 s"; a unit is optional and must equal that of the `quantity`."""
    number, _, given_unit = str(value).strip().partition(" ")
    check_unit(name, value, given_unit.strip(), quantity.unit)
    try:
        return hint(number)
    except ValueError:
        kind = "a whole number" if hint is int else "a number"
        kinds = f"{', '.join(quantity.choices)} or {kind}" if quantity.choices else kind
        raise ParameterError(f"{name} is {value!r}; it must be {kinds}") from None


def check_unit(name: str, value: Any, given_unit: str, unit: str) -> None:
    """Raise `ParameterError` if `value` comes with a `given_unit` other than `unit`; an empty one is accepted."""
    if given_unit and given_unit != unit:
        wanted = "has no unit" if unit == "1" else f"is in {unit}"
        raise ParameterError(f"{name} is given as {value!r}; it {wanted}")


def with_unit(value: Any, unit: str) -> Any:
    """`value` as `read_value` reads it: a number with a unit becomes text, such as "50.0 s"."""
    if isinstance(value, tuple):
        return [with_unit(item, unit) for item in value]
    return value if unit == "1" or isinstance(value, str) else f"{value!r} {unit}"


def read_text_mapping(name: str, value: Any) -> dict[str, str]:
    """`value` as a mapping from names to texts; raises `ParameterError` for anything else."""
    if not isinstance(value, Mapping) or not all(isinstance(item, str) for pair in value.items() for item in pair):
        raise ParameterError(f"{name} is {value!r}; it must give a text for each name")
    return dict(value)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """An error message for the unknown `name`: it suggests similar names, else lists all `known` names."""
    known = sorted(known)
    # A damaged file can hold a name of any length.
    name = name if len(name) <= 60 else f"{name[:57]}..."
    near = difflib.get_close_matches(name, known)
    remedy = f"perhaps you meant {' or '.join(near)}" if near else f"known are {', '.join(known)}"
    return f"unknown {kind} {name!r}; {remedy}"


def _type_error(name: str, value: Any, hint: Any) -> ParameterError:
    return ParameterError(
        f"{name} is {value!r}; it must be of type {hint.__name__ if isinstance(hint, type) else hint}"
    )
