"""Tables with the retention factors that a model has learned, as the variant `learned` beside the distilled ones."""

import numpy as np
import xarray as xr

from distill.schema import FORMS, LEARNED, SHUFFLED, SLOWED
from distill.tables import Tables
from rmaat.base.arrays import Array


def with_learned(tables: Tables, weight: Array, total: Array) -> Tables:
    """`tables` for 1 to as many segments as `weight` has, with the variant `learned`.

    Parameters
    ----------
    tables
        The tables that the learning started from; they serve at least as many segments.
    weight, total
        w(t) and W(T) with RF(t, T) = w(t) / W(T), (segment,) each, in any common unit.

    Raises
    ------
    TableError
        The tables serve fewer segments, or the factors are not between 0 and 1.
    """
    segments = len(weight)
    order = _shuffled_order(tables, segments)
    known = [name for name in tables.variants if name != LEARNED]
    rows = [*(_parts(tables, segments, name, order) for name in known), (weight, total)]
    weights, totals = map(np.stack, zip(*rows, strict=True))
    names = [*known, LEARNED]
    replaced = {
        "variant": np.array(names, dtype=tables.dataset["variant"].dtype),
        "retention_form": np.array([FORMS[name] for name in names], dtype=np.int8),
        "retention_weight": weights,
        "retention_total": totals,
        "random_order": order,
    }
    short = tables.dataset.isel(length=slice(segments), segment=slice(segments))
    variables = {
        name: (own.dims, replaced.get(str(name), own.values), own.attrs) for name, own in short.variables.items()
    }
    return Tables(xr.Dataset(variables, attrs=short.attrs), f"learned from {tables.origin}")


def learned_from(tables: Tables, segments: int) -> Array:
    """The learned RF(t, T) for T = `segments` as shares of their sum, (segment,); raises `TableError` without them.

    Factors of the setting `learned_saturation` do not sum to 1, and those of an astrocyte's increments do.
    """
    factors = tables.retention(segments, LEARNED)
    return factors / factors.sum()


def _parts(tables: Tables, segments: int, variant: str, order: np.ndarray) -> tuple[Array, Array]:
    """The rows w(t) and W(T) of `variant`; those of horizon and random hold for T = `segments` alone."""
    if FORMS[variant] == SLOWED:
        factors = tables.retention(segments, variant)
        return factors, factors.cumsum()
    weight, total = tables.retention_parts(segments, "increment" if FORMS[variant] == SHUFFLED else variant)
    return (weight[order - 1], total) if FORMS[variant] == SHUFFLED else (weight, total)


def _shuffled_order(tables: Tables, segments: int) -> np.ndarray:
    """The ranks of the first `segments` entries of the order of random, from 1."""
    entries = tables.dataset["random_order"].values[:segments]
    return (np.argsort(np.argsort(entries)) + 1).astype(tables.dataset["random_order"].dtype)
