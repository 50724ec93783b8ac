"""Checks of a tables file: its schema, its arithmetic and its digest. Each raises `TableError` with one sentence."""

import json
import re

import numpy as np
import xarray as xr

from distill.errors import TableError
from distill.retention import slowed_factors
from distill.schema import (
    ADDED_PARTS,
    DIGEST,
    FORMS,
    INTERVALS,
    LEFT_OUT,
    NORMALISED,
    OPTIONAL_VARIANTS,
    PARTS,
    PROVENANCE,
    RECORDS,
    RISING,
    SCHEMA,
    SCHEMA_VERSION,
    SHUFFLED,
    VARIABLES,
    Entry,
    law_of,
    left_out,
)
from rmaat.base.arrays import Array
from rmaat.base.provenance import content_digest
from rmaat.base.records import unknown_name


def check(dataset: xr.Dataset) -> None:
    """Raise `TableError` unless `dataset` follows the schema; the sentence names the variable and the fault."""
    _check_head(dataset)
    absent = _absent(dataset)
    for name, entry in VARIABLES.items():
        if name in dataset.variables:
            _check_variable(dataset, name, entry)
        elif name not in absent:
            raise TableError(f"the variable {name} is missing")
    _check_axes(dataset)
    _check_scalars(dataset)
    _check_law(dataset)
    parts = (dataset[name].values for name in ("variant", "retention_weight", "retention_total"))
    for variant, weight, total in zip(*parts, strict=True):
        _check_retention(str(variant), weight, total)
    _check_derived_rows(dataset)


def check_digest(dataset: xr.Dataset) -> None:
    """Raise `TableError` if the stored digest is missing or is not that of the content."""
    if DIGEST not in dataset.attrs:
        raise TableError(f"the attribute {DIGEST} is missing")
    if dataset.attrs[DIGEST] != digest(dataset):
        raise TableError(
            f"the content was changed after it was written: its SHA-256 is {digest(dataset)[:12]}..., "
            f"not {str(dataset.attrs[DIGEST])[:12]}...; make it again with: rmaat distill"
        )


def digest(dataset: xr.Dataset) -> str:
    """SHA-256 of the content of `dataset`, except the digest itself."""
    return content_digest(dataset.assign_attrs({DIGEST: ""}))


def sealed(dataset: xr.Dataset) -> xr.Dataset:
    """`dataset` with the digest of its content as an attribute."""
    return dataset.assign_attrs({DIGEST: digest(dataset)})


def _check_head(dataset: xr.Dataset) -> None:
    # Schema and version come first: other versions may lack anything else.
    found = (dataset.attrs.get("schema"), dataset.attrs.get("schema_version"))
    if found != (SCHEMA, SCHEMA_VERSION):
        raise TableError(
            f"schema {found[0]} version {found[1]} found, {SCHEMA} version {SCHEMA_VERSION} wanted; "
            "make the tables again with: rmaat distill"
        )
    for name in PROVENANCE:
        if name not in dataset.attrs:
            raise TableError(f"the attribute {name} is missing")
    for name in (*RECORDS, *({LEFT_OUT} & {*dataset.attrs})):
        try:
            json.loads(dataset.attrs[name])
        except (TypeError, ValueError):
            raise TableError(f"the attribute {name} is not JSON") from None
    if not re.fullmatch("[0-9a-f]{64}", str(dataset.attrs["traces_sha256"])):
        raise TableError("the attribute traces_sha256 is not a SHA-256")


def _absent(dataset: xr.Dataset) -> set[str]:
    """Variables that may be missing: those of each part of which all are, if the file is older or gives a reason."""
    allowed = {*ADDED_PARTS, *left_out(dataset)}
    gone = [names for part, names in PARTS.items() if part in allowed and not {*names} & {*dataset.variables}]
    absent = {name for names in gone for name in names}
    # The axis `distance` belongs to coupling and influence, and is missing if both are.
    return absent if "influence" in dataset or "coupling" in dataset else {*absent, "distance"}


def _check_variable(dataset: xr.Dataset, name: str, entry: Entry) -> None:
    variable = dataset[name]
    if variable.dims != entry.dims:
        raise TableError(f"{name} has the dimensions {variable.dims}, not {entry.dims}")
    if variable.dtype.kind not in "iuf":
        raise TableError(f"{name} holds {variable.dtype} values, not numbers")
    values = variable.values
    if not np.isfinite(values).all():
        raise TableError(f"{name} holds a value that is not finite")
    # Writer and reader take units from one schema, so another unit means another quantity.
    if not entry.flags and (found := variable.attrs.get("units")) != entry.units:
        raise TableError(f"{name} is in the unit {found!r}, not {entry.units!r}")
    if entry.flags and not np.isin(values, np.arange(len(entry.flags))).all():
        raise TableError(f"{name} holds a value that is none of its flags, 0 to {len(entry.flags) - 1}")
    if (values <= entry.above).any():
        raise TableError(f"{name} holds {values.min():g}; it must be above {entry.above:g}")
    if (values < entry.least).any():
        raise TableError(f"{name} holds {values.min():g}; it must be {entry.least:g} or more")


def _check_axes(dataset: xr.Dataset) -> None:
    if "variant" not in dataset.variables:
        raise TableError("the variable variant is missing")
    variants = [str(name) for name in dataset["variant"].values]
    for name in variants:
        if name not in FORMS:
            raise TableError(unknown_name("retention variant", name, FORMS))
    for name in FORMS:
        if variants.count(name) != 1 and not (name in OPTIONAL_VARIANTS and name not in variants):
            raise TableError(f"the retention variant {name} occurs {variants.count(name)} times, not once")
    if dataset.sizes["length"] != dataset.sizes["segment"]:
        raise TableError(f"there are {dataset.sizes['length']} lengths but {dataset.sizes['segment']} segments")
    for name in ("length", "segment"):
        if (dataset[name].values != np.arange(1, dataset.sizes[name] + 1)).any():
            raise TableError(f"{name} does not count from 1")
    if "distance" in dataset and (np.diff(dataset["distance"].values) <= 0).any():
        raise TableError("distance does not increase")
    if dataset.sizes.get("bound", 2) != 2:
        raise TableError(f"an interval has {dataset.sizes['bound']} ends, not 2")


def _check_scalars(dataset: xr.Dataset) -> None:
    exponent = float(dataset.get("exponent", 1.0))
    # A given exponent, which has no interval, may be any number above 0.
    highest, words = (1, " and at most at 1") if "exponent_interval" in dataset else (np.inf, "")
    if not 0 < exponent <= highest:
        raise TableError(f"the exponent is {exponent:g}; it must lie above 0{words}")
    for name in INTERVALS:
        if f"{name}_interval" not in dataset:
            continue
        low, high = dataset[f"{name}_interval"].values
        if not low <= float(dataset[name]) <= high:
            raise TableError(f"{name} is {float(dataset[name]):g}, outside its interval from {low:g} to {high:g}")
    low, high = dataset["exponent_range"].values if "exponent_range" in dataset else (0.0, 1.0)
    if not low < high:
        raise TableError(f"exponent_range goes from {low:g} to {high:g}, which is no range")


def _check_law(dataset: xr.Dataset) -> None:
    if not np.isclose(dataset["law_share"].values.sum(), 1, rtol=1e-9):
        raise TableError(f"the shares of the law sum to {dataset['law_share'].values.sum():g}, not to 1")
    if float(dataset["law_stretch"]) > 1:
        raise TableError(f"law_stretch is {float(dataset['law_stretch']):g}; increments fall only up to 1")
    # With a segment twice, the shuffled factors would not sum to 1.
    if sorted(dataset["random_order"].values) != list(range(1, dataset.sizes["segment"] + 1)):
        raise TableError("random_order does not hold each segment once")
    # A tolerance, because the same calculation on another machine may differ in the last bits.
    reached = float(law_of(dataset).values(dataset["horizon_cycles"].values) / float(dataset["law_saturation"]))
    wanted = -np.expm1(-float(dataset["horizon_saturation"]))
    if not np.isclose(reached, wanted, rtol=1e-9):
        raise TableError(f"the law has grown to {reached:.4g} of its end in horizon_cycles, not to {wanted:.4g}")


def _check_retention(variant: str, weight: Array, total: Array) -> None:
    where = f"the retention factors of {variant}"
    # Weights of 0 are allowed: at a = 0.5 they underflow from about segment 1500.
    if (weight < 0).any() or (total <= 0).any() or (np.maximum.accumulate(weight) > total * (1 + 1e-12)).any():
        raise TableError(f"{where} must lie between 0 and 1")
    # Shuffled weights hold for the longest T alone.
    sums = (weight.sum(), total[-1]) if FORMS[variant] == SHUFFLED else (weight.cumsum(), total)
    if variant in NORMALISED and not np.allclose(*sums, rtol=1e-9, atol=0):
        raise TableError(f"{where} do not sum to 1 over the segments")
    if variant not in RISING and (np.diff(weight) > 1e-12 * weight[:-1]).any():
        raise TableError(f"{where} increase from one segment to the next")


def _check_derived_rows(dataset: xr.Dataset) -> None:
    """Stored rows that the reader recalculates for each T must agree with the calculation for the longest T."""
    increment = dataset["increment"].values
    calculated = {
        "increment": increment,
        "horizon": slowed_factors(law_of(dataset), float(dataset["horizon_cycles"]), len(increment)),
        # The order counts segments from 1.
        "random": increment[dataset["random_order"].values - 1],
    }
    rows = (dataset[name].values for name in ("variant", "retention_form", "retention_weight"))
    for variant, form, weight in zip(*rows, strict=True):
        if int(form) != FORMS[variant]:
            raise TableError(f"retention_form of {variant} is {int(form)}")
        if variant in calculated and not np.allclose(weight, calculated[variant], rtol=1e-9, atol=1e-300):
            raise TableError(f"the retention factors of {variant} do not follow from the law and the increments")
