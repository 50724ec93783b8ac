"""Parameter records: frozen dataclasses whose every field carries meaning, unit, bounds and source.

    @dataclass(frozen=True)
    class Clock(Record):
        period: float = parameter(50.0, "length of one cycle", unit="s", low=1e-3, high=3600, source=Source.PAPER)

Making a record checks it. Records are read from and saved to YAML in which a value carries its unit (`period: 50.0 s`),
so that a number meant in milliseconds is refused rather than believed. Records may hold records; where one of several
may stand, they are a family, `OneOf`, and the file says which by `kind`.
"""

import dataclasses
import difflib
import math
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Self

import yaml

from rmaat.base.errors import UsageError
from rmaat.base.files import read_text, write_text


class ParameterError(UsageError):
    """A parameter that is unknown, out of its bounds, of another type or in another unit."""


class Source(StrEnum):
    """Who says so. What is ours is never presented as the paper's."""

    PAPER = "the RMAAT paper (arXiv 2601.00426)"
    PARENT = "a parent paper (AT, arXiv 2312.10925; NAAM, arXiv 2311.08135)"
    READER = "a reader of the RMAAT paper"
    BENCHMARK = "the Long Range Arena (arXiv 2011.04006)"
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
    reference: str = ""

    @property
    def said_by(self) -> str:
        """Who says so: the `reference` where there is one, else the source."""
        return self.reference or self.source.value


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
    """A dataclass field with its `Quantity`; `symbol` is the letter the papers use, `reference` a text that says so."""
    quantity = Quantity(meaning, unit, low, high, source, symbol, choices, reference)
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
        return {entry.name: _as_plain(getattr(self, entry.name)) for entry in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; names not given keep their defaults.

        Raises
        ------
        ParameterError
            An unknown name (near ones are listed), or a value that the record refuses.
        """
        return cls(**_parsed(cls, values, {}))

    def override(self, assignments: Mapping[str, Any]) -> Self:
        """A copy with parameters replaced by name, wherever in the nested records they stand.

        Raises
        ------
        ParameterError
            As `from_dict`.
        """
        places = {path[-1]: path for path, _, _ in self.parameters()}
        values: dict[str, Any] = {}
        for name, value in assignments.items():
            if name not in places:
                raise ParameterError(unknown_name("parameter", name, places))
            group = values
            for step in places[name][:-1]:
                group = group.setdefault(step, {})
            group[name] = value
        return self.changed(values)

    def changed(self, values: Mapping[str, Any]) -> Self:
        """A copy with `values`, nested as in `to_dict`, in place of its own; raises as `from_dict`."""
        own = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        return dataclasses.replace(self, **_parsed(type(self), values, own))

    def parameters(self) -> Iterator[tuple[tuple[str, ...], Any, Quantity]]:
        """Every parameter, nested ones too: its path of names, its value and its `Quantity`."""
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, Record):
                for path, inner, quantity in value.parameters():
                    yield (entry.name, *path), inner, quantity
            elif "quantity" in entry.metadata:
                yield (entry.name,), value, entry.metadata["quantity"]

    def save(self, path: Path) -> None:
        """Write the record as YAML with units; raises `FileError`."""
        write_text(path, yaml.safe_dump(self._with_units(), sort_keys=False))

    @classmethod
    def load(cls, path: Path, base: Self | None = None) -> Self:
        """Read what `save` wrote or a user did; names not given are those of `base`, else the defaults.

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
            values = {} if values is None else values
            return cls.from_dict(values) if base is None else base.changed(values)
        except (ParameterError, yaml.YAMLError, ValueError, RecursionError) as error:
            raise ParameterError(f"{path}: {' '.join(str(error).split())}") from error

    def _with_units(self) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, Record):
                result[entry.name] = value._with_units()
            elif "quantity" in entry.metadata:
                result[entry.name] = _with_unit(value, entry.metadata["quantity"].unit)
            else:
                result[entry.name] = _as_plain(value)
        return result


@dataclass(frozen=True)
class OneOf(Record):
    """Base of a family of records that stand in for one another; in files, `kind` names which one is meant.

    The family is a direct subclass with `default_kind`; its members have a `kind`. A file without `kind` means the
    default.
    """

    kind: ClassVar[str] = ""
    default_kind: ClassVar[str] = ""

    def to_dict(self) -> dict[str, Any]:
        """As `Record`, and the kind."""
        return {"kind": self.kind, **super().to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """As `Record`, of the member that `kind` names."""
        kind, rest = _without_kind(cls, values, cls.kind or cls.default_kind)
        member = _member(cls, kind)
        return member(**_parsed(member, rest, {}))

    def changed(self, values: Mapping[str, Any]) -> Self:
        """As `Record`; another kind keeps what differs from the default, under the names that both have."""
        kind, rest = _without_kind(type(self), values, self.kind)
        if kind == self.kind:
            return super().changed(rest)
        family = next(ancestor for ancestor in type(self).__mro__ if OneOf in ancestor.__bases__)
        member = _member(family, kind)
        shared = {entry.name for entry in dataclasses.fields(member)}
        own = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self) if entry.name in shared}
        defaults = {entry.name: entry.default for entry in dataclasses.fields(self)}
        return member.from_dict({name: value for name, value in own.items() if value != defaults[name]} | rest)

    def _with_units(self) -> dict[str, Any]:
        return {"kind": self.kind, **super()._with_units()}


def unknown_name(kind: str, name: str, known: typing.Iterable[str]) -> str:
    """The sentence that names an unknown `name`, with near ones, else all that are `known`."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known)
    remedy = f"perhaps you meant {' or '.join(near)}" if near else f"known are {', '.join(known)}"
    return f"unknown {kind} {name!r}; {remedy}"


def _parsed(cls: type[Record], values: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `cls` that `values` names; where `own` has a record, it is changed rather than made afresh."""
    if not isinstance(values, Mapping):
        raise ParameterError(f"{cls.__name__} wants names with values, found {values!r}")
    known, hints = {entry.name: entry for entry in dataclasses.fields(cls)}, typing.get_type_hints(cls)
    for name in values:
        if name not in known:
            raise ParameterError(unknown_name("parameter", str(name), known))
    return {
        name: own[name].changed(value)
        if isinstance(own.get(name), Record) and isinstance(value, Mapping)
        else _parse(name, value, hints[name], known[name])
        for name, value in values.items()
    }


def _without_kind(cls: type[Record], values: Mapping[str, Any], default: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(values, Mapping):
        raise ParameterError(f"{cls.__name__} wants names with values, found {values!r}")
    rest = dict(values)
    return str(rest.pop("kind", default)), rest


def _member(family: type[OneOf], kind: str) -> type[Any]:
    members = {member.kind: member for member in _members(family)}
    if kind not in members:
        raise ParameterError(unknown_name(f"kind of {family.__name__}", kind, members))
    return members[kind]


def _members(family: type[OneOf]) -> Iterator[type[OneOf]]:
    if vars(family).get("kind"):
        yield family
    for member in family.__subclasses__():
        yield from _members(member)


def _as_plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


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
    if typing.get_origin(hint) is Mapping:
        return texts(name, value)
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


def texts(name: str, value: Any) -> dict[str, str]:
    """`value` as a text for each name; raises `ParameterError` where it is something else."""
    if not isinstance(value, Mapping) or not all(isinstance(item, str) for pair in value.items() for item in pair):
        raise ParameterError(f"{name} is {value!r}; it must give a text for each name")
    return dict(value)


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
