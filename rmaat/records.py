"""Parameter records: frozen dataclasses whose every field carries meaning, unit, bounds and source.

    @dataclass(frozen=True)
    class Clock(Record):
        period: float = parameter(50.0, "length of one cycle", unit="s", low=1e-3, high=3600, source=Source.PAPER)

Making a record checks it. Records are read from and saved to YAML in which a value carries its unit (`period: 50.0 s`),
so that a number meant in milliseconds is refused rather than believed. Records may hold records.
"""

import dataclasses
import difflib
import math
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import yaml

from rmaat.errors import UsageError
from rmaat.files import read_text, write_text


class ParameterError(UsageError):
    """A parameter that is unknown, out of its bounds, of another type or in another unit."""


class Source(StrEnum):
    """Who says so. What is ours is never presented as the paper's."""

    PAPER = "the RMAAT paper (arXiv 2601.00426)"
    PARENT = "a parent paper (AT, arXiv 2312.10925; NAAM, arXiv 2311.08135)"
    READER = "a reader of the RMAAT paper"
    OURS = "our default; no public text says"


@dataclass(frozen=True)
class Quantity:
    """What is known of one parameter: `unit` "1" means dimensionless, bounds are inclusive."""

    meaning: str
    unit: str
    low: float
    high: float
    source: StrEnum
    symbol: str
    choices: tuple[str, ...]


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
) -> Any:
    """A dataclass field with its `Quantity`; `symbol` is the letter the papers use."""
    quantity = Quantity(meaning, unit, low, high, source, symbol, choices)
    return field(default=default, metadata={"quantity": quantity})


@dataclass(frozen=True)
class Record:
    """Base of all parameter records; checks its fields when made.

    Raises
    ------
    ParameterError
        A field is of another type, not finite, out of its bounds or not among its choices.
    """

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for entry in dataclasses.fields(self):
            value = _checked(entry.name, getattr(self, entry.name), hints[entry.name], entry.metadata.get("quantity"))
            object.__setattr__(self, entry.name, value)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, nested as the records are; tuples become lists."""
        return {
            name: value.to_dict() if isinstance(value, Record) else list(value) if isinstance(value, tuple) else value
            for name, value in ((entry.name, getattr(self, entry.name)) for entry in dataclasses.fields(self))
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; names not given keep their defaults.

        Raises
        ------
        ParameterError
            An unknown name (near ones are listed), or a value that the record refuses.
        """
        if not isinstance(values, Mapping):
            raise ParameterError(f"{cls.__name__} wants names with values, found {values!r}")
        known = {entry.name: entry for entry in dataclasses.fields(cls)}
        hints = typing.get_type_hints(cls)
        for name in values:
            if name not in known:
                raise ParameterError(unknown_name("parameter", str(name), known))
        return cls(**{name: _parse(name, value, hints[name], known[name]) for name, value in values.items()})

    def override(self, assignments: Mapping[str, Any]) -> Self:
        """A copy with parameters replaced by name, wherever in the nested records they stand.

        Raises
        ------
        ParameterError
            As `from_dict`.
        """
        values, places = self.to_dict(), {}
        for path, _, _ in self.parameters():
            places[path[-1]] = path
        for name, value in assignments.items():
            if name not in places:
                raise ParameterError(unknown_name("parameter", name, places))
            group = values
            for step in places[name][:-1]:
                group = group[step]
            group[name] = value
        return type(self).from_dict(values)

    def parameters(self) -> Iterator[tuple[tuple[str, ...], Any, Quantity]]:
        """Every parameter, nested ones too: its path of names, its value and its `Quantity`."""
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, Record):
                for path, inner, quantity in value.parameters():
                    yield (entry.name, *path), inner, quantity
            else:
                yield (entry.name,), value, entry.metadata["quantity"]

    def save(self, path: Path) -> None:
        """Write the record as YAML with units; raises `FileError`."""
        write_text(path, yaml.safe_dump(self._with_units(), sort_keys=False))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote or a user did; names not given keep their defaults.

        Raises
        ------
        ParameterError
            The file is not YAML or holds what the record refuses; the file is named.
        FileError
            The file cannot be read.
        """
        text = read_text(path)
        try:
            values = yaml.safe_load(text)
            return cls.from_dict({} if values is None else values)
        except (ParameterError, yaml.YAMLError, ValueError, RecursionError) as error:
            raise ParameterError(f"{path}: {' '.join(str(error).split())}") from error

    def _with_units(self) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, Record):
                result[entry.name] = value._with_units()
            else:
                result[entry.name] = _with_unit(value, entry.metadata["quantity"].unit)
        return result


def unknown_name(kind: str, name: str, known: typing.Iterable[str]) -> str:
    """The sentence that names an unknown `name`, with near ones, else all that are `known`."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known)
    remedy = f"perhaps you meant {' or '.join(near)}" if near else f"known are {', '.join(known)}"
    return f"unknown {kind} {name!r}; {remedy}"


def _checked(name: str, value: Any, hint: Any, quantity: Quantity | None) -> Any:
    """`value`, as a float where the field is one, so that equal records are saved alike."""
    kind = int | float if hint is float else typing.get_origin(hint) or hint
    if not isinstance(value, kind) or (isinstance(value, bool) and hint is not bool):
        raise _type_error(name, value, hint)
    if quantity is None:
        return value
    if isinstance(value, tuple):
        return tuple(_checked(name, item, typing.get_args(hint)[0], quantity) for item in value)
    if quantity.choices and value not in quantity.choices:
        raise ParameterError(f"{name} is {value!r}; it must be one of {', '.join(quantity.choices)}")
    # A comparison with NaN is false, so this refuses it too.
    if hint in (int, float) and (not quantity.low <= value <= quantity.high or abs(value) == math.inf):
        unit = "" if quantity.unit == "1" else f" {quantity.unit}"
        raise ParameterError(
            f"{name} is {value}{unit}; it must lie between {quantity.low:g} and {quantity.high:g}{unit}"
        )
    return float(value) if hint is float else value


def _with_unit(value: Any, unit: str) -> Any:
    if isinstance(value, tuple):
        return [_with_unit(item, unit) for item in value]
    return value if unit == "1" else f"{value!r} {unit}"


def _type_error(name: str, value: Any, hint: Any) -> ParameterError:
    return ParameterError(
        f"{name} is {value!r}; it must be of type {hint.__name__ if isinstance(hint, type) else hint}"
    )


def _parse(name: str, value: Any, hint: Any, entry: dataclasses.Field) -> Any:
    """`value` as written in a file or on a command line, as the type that the field declares."""
    if isinstance(hint, type) and issubclass(hint, Record):
        return value if isinstance(value, hint) else hint.from_dict(value)
    quantity: Quantity = entry.metadata["quantity"]
    if typing.get_origin(hint) is tuple and isinstance(value, str | list | tuple):
        items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
        item_hint = typing.get_args(hint)[0]
        return tuple(_parse(name, item, item_hint, entry) for item in items)
    if hint is str and isinstance(value, str):
        return value
    if hint is bool and str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    if hint in (int, float) and not isinstance(value, bool):
        return _number(name, value, hint, quantity.unit)
    raise _type_error(name, value, hint)


def _number(name: str, value: Any, hint: type, unit: str) -> Any:
    number, _, given_unit = str(value).strip().partition(" ")
    if given_unit and given_unit.strip() != unit:
        wanted = "has no unit" if unit == "1" else f"is in {unit}"
        raise ParameterError(f"{name} is given as {value!r}; it {wanted}")
    try:
        return hint(number)
    except ValueError:
        kind = "a whole number" if hint is int else "a number"
        raise ParameterError(f"{name} is {value!r}; it must be {kind}") from None
