"""The differences of two tables, compared by meaning and not by bytes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from distill.schema import ADDED_PARTS, LEARNED, PARTS, PROVENANCE, VARIABLES
from distill.tables import Tables
from rmaat.base.nested import flattened

TOLERANCE = 1e-9
"""Relative difference up to which two numbers count as equal; machines differ in the last digits."""

ADDED = {name for part in ADDED_PARTS for name in PARTS[part]}
"""Variables that older files lack; their absence alone is no difference in meaning."""

_ROUNDING = 1e-12
"""Absolute difference up to which two numbers near 0 count as equal."""
_SOLVING = 1e-7
"""The same for errors and residuals, which are rounding of the solvers where a fit is exact."""


@dataclass(frozen=True)
class Difference:
    """One difference between two tables."""

    what: str
    first: str
    second: str
    matters: bool
    """false for provenance that does not change the numbers, such as versions and digests"""

    def __str__(self) -> str:
        return f"{self.what}: {self.first} | {self.second}"


def compare(first: Tables, second: Tables, tolerance: float = TOLERANCE) -> list[Difference]:
    """The differences of two tables: lengths, factors of each variant, all other numbers, parameters, provenance.

    Factors are compared as a model uses them, for powers of two T and the longest T that both serve.

    Parameters
    ----------
    tolerance
        Relative difference up to which two numbers count as equal.
    """
    return [
        *_lengths(first, second),
        *_factors(first, second, tolerance),
        *_numbers(first, second, tolerance),
        *_parameters(first, second),
        *_provenance(first, second),
    ]


def _lengths(first: Tables, second: Tables) -> Iterator[Difference]:
    if first.longest != second.longest:
        yield Difference("most segments", str(first.longest), str(second.longest), True)


def _factors(first: Tables, second: Tables, tolerance: float) -> Iterator[Difference]:
    both = min(first.longest, second.longest)
    has = [LEARNED in tables.variants for tables in (first, second)]
    if has[0] != has[1]:
        words = ["present" if own else "left out" for own in has]
        yield Difference(f"retention {LEARNED}", words[0], words[1], True)
    for variant in (name for name in first.variants if name in second.variants):
        # A few lengths suffice, because the factors of all T come from the same stored rows.
        for segments in dict.fromkeys((*(2**power for power in range(both.bit_length())), both)):
            one, other = (tables.retention(segments, variant) for tables in (first, second))
            if not np.allclose(one, other, rtol=tolerance, atol=_ROUNDING):
                place = int(np.argmax(np.abs(one - other)))
                where = f"retention {variant}, RF({place + 1}, {segments})"
                yield Difference(where, f"{one[place]:.6g}", f"{other[place]:.6g}", True)
                # A changed law changes all lengths, so that one line per variant says enough.
                break


def _numbers(first: Tables, second: Tables, tolerance: float) -> Iterator[Difference]:
    for name, entry in VARIABLES.items():
        # Lengths and factors are compared above; rows along the segments may have different lengths.
        if {"segment", "length", "variant"} & set(entry.dims):
            continue
        present = [name in tables.dataset for tables in (first, second)]
        if not all(present):
            if any(present):
                words = ["present" if has else "left out" for has in present]
                yield Difference(name, *words, matters=name not in ADDED)
            continue
        one, other = (tables.dataset[name] for tables in (first, second))
        if one.shape != other.shape:
            yield Difference(name, f"{one.size} values", f"{other.size} values", True)
        # NaN, which allclose finds unequal to itself, cannot occur: `check` has refused it.
        elif not np.allclose(one.values, other.values, rtol=tolerance, atol=_near_zero(name)):
            place = int(np.argmax(np.abs(one.values - other.values)))
            values = [f"{array.values.ravel()[place]:.6g}" for array in (one, other)]
            yield Difference(name, values[0], values[1], True)


def _near_zero(name: str) -> float:
    return _SOLVING if name.endswith(("_error", "_residual")) else _ROUNDING


def _parameters(first: Tables, second: Tables) -> Iterator[Difference]:
    for attribute, word in (("parameters", "simulation"), ("distill_parameters", "distillation")):
        one, other = (flattened(json.loads(tables.dataset.attrs[attribute])) for tables in (first, second))
        for name in dict.fromkeys((*one, *other)):
            if one.get(name) != other.get(name):
                values = [json.dumps(record[name]) if name in record else "absent" for record in (one, other)]
                yield Difference(f"{word} parameter {name}", values[0], values[1], False)


def _provenance(first: Tables, second: Tables) -> Iterator[Difference]:
    for name in PROVENANCE:
        one, other = (str(tables.dataset.attrs[name]) for tables in (first, second))
        # `_parameters` compares these two one value at a time.
        if one != other and name not in ("parameters", "distill_parameters"):
            yield Difference(name, one, other, False)
