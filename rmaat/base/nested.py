"""Nested mappings."""

from collections.abc import Mapping
from typing import Any


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with the names of each path joined by dots after `prefix`."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        path = prefix + name
        flat |= flattened(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return flat
