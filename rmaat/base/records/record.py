"""A group of parameters as a frozen dataclass that checks its fields and is stored as YAML.

In YAML a number carries its unit (`period: 50.0 s`), so a value meant in milliseconds is refused.
"""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from rmaat.base.files import read_text, write_text
from rmaat.base.records.quantity import (
    ParameterError,
    Quantity,
    check_value,
    read_text_mapping,
    read_value,
    unknown_name,
    with_unit,
)

MOST_YAML = 2**16
"""Bytes of the largest file of parameters. Reading so many takes up to a second."""


class _Loader(yaml.SafeLoader):
    """YAML without aliases: nested ones describe more values in a few lines than any memory holds."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.YAMLError(
                f"line {event.start_mark.line + 1} has the alias *{event.anchor}; write its value in full"
            )
        return super().compose_node(parent, index)


@dataclass(frozen=True)
class Record:
    """Base of all parameter records; the constructor checks every field.

    Raises
    ------
    ParameterError
        A field has another type, is not finite, is outside its bounds or is not one of its choices.
    """

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            checked = check_value(entry.name, value, hints[entry.name], entry.metadata.get("quantity"))
            # A frozen dataclass refuses plain assignment, even in its own constructor.
            object.__setattr__(self, entry.name, checked)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, nested like the records; tuples become lists."""
        return {name: _as_plain(value) for name, value in field_values(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; names that are not given keep their defaults.

        Raises
        ------
        ParameterError
            A name is unknown (the message suggests similar ones), or the record refuses a value.
        """
        return cls(**read_fields(cls, values, {}))

    def override(self, assignments: Mapping[str, Any]) -> Self:
        """A copy with parameters replaced by name; the names may belong to nested records.

        Raises
        ------
        ParameterError
            As `from_dict`.
        """
        paths = {path[-1]: path for path, _, _ in self.parameters()}
        values: dict[str, Any] = {}
        for name, value in assignments.items():
            if name not in paths:
                raise ParameterError(unknown_name("parameter", name, paths))
            group = values
            for step in paths[name][:-1]:
                group = group.setdefault(step, {})
            group[name] = value
        return self.changed(values)

    def changed(self, values: Mapping[str, Any]) -> Self:
        """A copy with some values replaced by `values`, nested as in `to_dict`; raises as `from_dict`."""
        return dataclasses.replace(self, **read_fields(type(self), values, field_values(self)))

    def parameters(self) -> Iterator[tuple[tuple[str, ...], Any, Quantity]]:
        """Every parameter, including nested ones: its path of names, its value and its `Quantity`."""
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, Record):
                for path, inner, quantity in value.parameters():
                    yield (entry.name, *path), inner, quantity
            elif "quantity" in entry.metadata:
                yield (entry.name,), value, entry.metadata["quantity"]

    @classmethod
    def quantity(cls, name: str) -> Quantity:
        """The description of the parameter `name` of this record."""
        return next(entry.metadata["quantity"] for entry in dataclasses.fields(cls) if entry.name == name)

    def save(self, path: str | Path) -> None:
        """Write the record as YAML with units; raises `FileError`."""
        write_text(Path(path), yaml.safe_dump(self._with_units(), sort_keys=False))

    @classmethod
    def load(cls, path: str | Path, base: Self | None = None) -> Self:
        """Read a YAML file; names that are missing there take their values from `base`, else the defaults.

        Raises
        ------
        ParameterError
            The file is not YAML, has aliases, or the record refuses its values; the message names the file.
        FileError
            The file cannot be read, or has more than `MOST_YAML` bytes.
        """
        text = read_text(Path(path), MOST_YAML)
        try:
            values = yaml.load(text, _Loader)  # a SafeLoader  # nosec B506
            values = {} if values is None else values
            return cls.from_dict(values) if base is None else base.changed(values)
        # PyYAML raises ValueError for impossible dates and RecursionError for deep nesting.
        except (ParameterError, yaml.YAMLError, ValueError, RecursionError) as error:
            raise ParameterError(f"{path}: {' '.join(str(error).split())}") from error

    def _with_units(self) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, Record):
                result[entry.name] = value._with_units()
            elif "quantity" in entry.metadata:
                result[entry.name] = with_unit(value, entry.metadata["quantity"].unit)
            else:
                result[entry.name] = _as_plain(value)
        return result


def field_values(record: Record) -> dict[str, Any]:
    """The fields of `record` with nested records left as records, unlike `to_dict`."""
    return {entry.name: getattr(record, entry.name) for entry in dataclasses.fields(record)}


def read_fields(cls: type[Record], values: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Convert `values` to the fields of `cls`; a nested record that is in `own` is changed, not replaced.

    Raises
    ------
    ParameterError
        `values` is not a mapping, has an unknown name, or has a value of another type or unit.
    """
    require_mapping(cls, values)
    known, hints = {entry.name: entry for entry in dataclasses.fields(cls)}, typing.get_type_hints(cls)
    for name in values:
        if name not in known:
            raise ParameterError(unknown_name("parameter", str(name), known))
    return {
        name: own[name].changed(value)
        if isinstance(own.get(name), Record) and isinstance(value, Mapping)
        else _read_field(known[name], value, hints[name])
        for name, value in values.items()
    }


def require_mapping(cls: type[Record], values: Any) -> None:
    """Raise `ParameterError` unless `values` maps names to values."""
    if not isinstance(values, Mapping):
        raise ParameterError(f"{cls.__name__} needs names with values, found {values!r}")


def _read_field(entry: dataclasses.Field, value: Any, hint: Any) -> Any:
    if isinstance(hint, type) and issubclass(hint, Record):
        return value if isinstance(value, hint) else hint.from_dict(value)
    if typing.get_origin(hint) is Mapping:
        return read_text_mapping(entry.name, value)
    return read_value(entry.name, value, hint, entry.metadata["quantity"])


def _as_plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
