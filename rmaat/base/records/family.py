"""Families of records: a field holds one of several kinds, and the file names the kind.

protocol:
  kind: theta_bursts
  train_interval: 12 s
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from rmaat.base.records.quantity import ParameterError, unknown_name
from rmaat.base.records.record import Record, field_values, read_fields, require_mapping


@dataclass(frozen=True)
class OneOf(Record):
    """Base of a family of records that can replace each other; `kind` selects one in a file.

    A family is a direct subclass of `OneOf` with a `default_kind`. Its members derive from the family, and each has a
    `kind`. A file without `kind` selects the default.
    """

    kind: ClassVar[str] = ""
    default_kind: ClassVar[str] = ""

    def to_dict(self) -> dict[str, Any]:
        """As `Record`, with the kind added."""
        return {"kind": self.kind, **super().to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """As `Record`, for the member with the `kind` in `values`."""
        kind, rest = _without_kind(cls, values, cls.kind or cls.default_kind)
        member = _member(cls, kind)
        return member(**read_fields(member, rest, {}))

    def changed(self, values: Mapping[str, Any]) -> Self:
        """As `Record`; a change of kind keeps the values that differ from the defaults and that both kinds have."""
        kind, rest = _without_kind(type(self), values, self.kind)
        if kind == self.kind:
            return super().changed(rest)
        family = next(ancestor for ancestor in type(self).__mro__ if OneOf in ancestor.__bases__)
        member = _member(family, kind)
        shared = {entry.name for entry in dataclasses.fields(member)}
        defaults = {entry.name: entry.default for entry in dataclasses.fields(self)}
        kept = {name: value for name, value in field_values(self).items() if name in shared and value != defaults[name]}
        return member.from_dict(kept | rest)

    def _with_units(self) -> dict[str, Any]:
        return {"kind": self.kind, **super()._with_units()}


def _without_kind(cls: type[Record], values: Mapping[str, Any], default: str) -> tuple[str, dict[str, Any]]:
    require_mapping(cls, values)
    rest = dict(values)
    return str(rest.pop("kind", default)), rest


def _member(family: type[OneOf], kind: str) -> type[Any]:
    members = {member.kind: member for member in _members(family)}
    if kind not in members:
        raise ParameterError(unknown_name(f"kind of {family.__name__}", kind, members))
    return members[kind]


def _members(family: type[OneOf]) -> Iterator[type[OneOf]]:
    # `vars`, because a member's subclass would inherit its `kind`.
    if vars(family).get("kind"):
        yield family
    for member in family.__subclasses__():
        yield from _members(member)
