"""The schema of the tables file: every variable, and what each must be for the tables to be right."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from distill.errors import TableError
from distill.law import Law
from rmaat.base.arrays import Array
from rmaat.base.provenance import content_digest
from rmaat.base.records import unknown_name

SCHEMA = "rmaat-tables"
SCHEMA_VERSION = 2

SEPARABLE, SLOWED, SHUFFLED = 0, 1, 2
FORMS = {
    "increment": SEPARABLE,
    "area": SEPARABLE,
    "horizon": SLOWED,
    "streaming": SEPARABLE,
    "saturation": SEPARABLE,
    "constant": SEPARABLE,
    "none": SEPARABLE,
    "random": SHUFFLED,
}
"""The retention variants, and how each factor comes from what is stored."""
VARIANTS = tuple(FORMS)
NORMALISED = ("increment", "area", "horizon", "constant", "random")
"""Variants whose factors sum to 1 over the segments."""
RISING = ("area", "random")
"""Variants whose factors may rise from one segment to the next."""

_SCALE, _RATE = "1 / synapse spacing", "1 / cycle"


@dataclass(frozen=True)
class Entry:
    """What the schema says of one variable of numbers."""

    dims: tuple[str, ...]
    long_name: str
    units: str = "1"
    symbol: str = ""
    least: float = -np.inf
    """Lowest value allowed."""
    above: float = -np.inf
    """Value that all must exceed."""
    required: bool = True
    """False for what tables brought up from an earlier schema cannot have."""
    flags: tuple[str, ...] = ()
    """Meanings of the values 0, 1, ... where these are flags."""

    def attributes(self) -> dict[str, Any]:
        """As CF has them."""
        flags = {"flag_values": np.arange(len(self.flags), dtype=np.int8), "flag_meanings": " ".join(self.flags)}
        return {
            "long_name": self.long_name,
            **({} if self.flags else {"units": self.units}),
            **({"symbol": self.symbol} if self.symbol else {}),
            **(flags if self.flags else {}),
        }


def _kernel(name: str, words: str) -> dict[str, Entry]:
    """The entries of the coupling put in and of the influence measured, which are alike."""
    return {
        name: Entry(("distance",), f"mean {words} at each distance", symbol="T" if name == "coupling" else ""),
        f"{name}_amplitude": Entry((), f"fitted {words} at distance 0", required=name == "influence"),
        f"{name}_scale": Entry((), f"decay of the {words}", _SCALE, above=0 if name == "influence" else -np.inf),
        f"{name}_scale_error": Entry((), f"standard error of the decay of the {words}", _SCALE, least=0),
        f"{name}_scale_interval": Entry(("bound",), f"95 % interval of the decay of the {words}", _SCALE),
        f"{name}_residual": Entry((), "rms residual of the exponential, share of the largest strength", least=0),
        f"{name}_kernel_scale": Entry(
            ("kernel",), f"scale of each candidate for the {words}", "candidate's own", required=False
        ),
        f"{name}_kernel_residual": Entry(
            ("kernel",), "rms residual of each candidate, share of the largest strength", least=0, required=False
        ),
        f"{name}_kernel_criterion": Entry(
            ("kernel",), "Akaike's criterion of each candidate, less is better", required=False
        ),
    }


VARIABLES: Mapping[str, Entry] = {
    "length": Entry(("length",), "number of segments T"),
    "segment": Entry(("segment",), "segment t"),
    "distance": Entry(("distance",), "distance of two synapses", "synapse spacing", least=0),
    "retention_form": Entry(
        ("variant",), "how factors come from weight and total", flags=("separable", "slowed_law", "shuffled")
    ),
    "retention_weight": Entry(
        ("variant", "segment"),
        "w(t); separable: RF(t, T) = w(t) / W(T), otherwise so for the longest T alone",
        symbol="w(t)",
    ),
    "retention_total": Entry(
        ("variant", "length"), "W(T); RF(t, T) = w(t) / W(T), as retention_weight says", symbol="W(T)"
    ),
    "random_order": Entry(
        ("segment",), "shuffled: the segment with the r-th smallest of the first T takes the r-th increment", least=1
    ),
    "increment": Entry(("segment",), "growth of the mean long-term process per cycle", symbol="Delta_t", least=0),
    "increment_error": Entry(("segment",), "standard error of the increment", least=0),
    "increment_simulated": Entry(
        ("segment",), "whether the increment is the simulation's own", flags=("from_the_law", "simulated")
    ),
    "increment_rate": Entry((), "rate of the geometric law", _RATE, "a", above=0),
    "increment_rate_error": Entry((), "standard error of the rate", _RATE, least=0),
    "increment_rate_interval": Entry(("bound",), "95 % interval of the rate", _RATE),
    "increment_residual": Entry(
        (), "largest distance of geometric law and curve, share of the curve's end", least=0
    ),
    "law_share": Entry(("component",), "share of each rate in the law chosen", symbol="f_k", least=0),
    "law_rate": Entry(("component",), "rates of the law chosen", _RATE, "a_k", above=0),
    "law_stretch": Entry((), "exponent of the cycle in the law chosen", symbol="b", above=0),
    "law_saturation": Entry((), "end of the law chosen", symbol="S", above=0),
    "horizon_saturation": Entry((), "saturation A at the last segment of the variant horizon", symbol="A", above=0),
    "horizon_cycles": Entry((), "cycles in which the law chosen saturates so far", "cycle", above=0),
    "long_term_curve": Entry(
        ("cycle",), "mean long-term process at the ends of simulated cycles, above its start", required=False
    ),
    "law_residual": Entry(
        ("law",), "largest distance of each law and the curve, share of the curve's end", least=0, required=False
    ),
    "law_prediction_error": Entry(
        ("law",), "rms error of each law at cycles left out of its fit, share of the curve's end", least=0,
        required=False,
    ),
    "trials": Entry((), "runs that the curve is the mean of", least=1, required=False),
    **_kernel("coupling", "coupling put in"),
    **_kernel("influence", "influence measured"),
    "anisotropy": Entry((), "relative change of the influence's decay with direction", least=0, required=False),
    "anisotropy_axis": Entry((), "direction of the fastest decay, from the x axis", "degree", required=False),
    "anisotropy_p_value": Entry((), "p-value of the F test of anisotropy", least=0, required=False),
    "anisotropy_directions": Entry((), "directions that pairs of synapses have", least=0, required=False),
    "token_spacing": Entry((), "distance of neighbouring tokens", "synapse spacing", above=0),
    "exponent": Entry((), "presynaptic exponent", symbol="alpha"),
    "exponent_error": Entry((), "standard error of the exponent", least=0),
    "exponent_interval": Entry(("bound",), "95 % interval of the exponent"),
    "exponent_local": Entry(
        ("bound",), "exponents of the first and the last quarter of the range", required=False
    ),
    "exponent_residual": Entry((), "rms residual of the logarithm of the response", least=0),
    "exponent_range": Entry(("bound",), "cumulative activity at both ends of the fit", "s", above=0),
}  # fmt: skip
"""Every variable of numbers that a tables file has, with its axes in order."""

INTERVALS = ("increment_rate", "coupling_scale", "influence_scale", "exponent")
"""Variables whose 95 % interval stands beside them."""
PROVENANCE = (
    "parameters", "distill_parameters", "engine", "solver", "seed", "versions", "distill_versions", "traces_sha256"
)  # fmt: skip
DIGEST = "content_sha256"
_RECORDS = ("parameters", "distill_parameters", "solver", "versions", "distill_versions")


def check(dataset: xr.Dataset) -> None:
    """Raise `TableError`, whose sentence says what and where, unless `dataset` follows the schema."""
    _check_head(dataset)
    for name, entry in VARIABLES.items():
        if name in dataset.variables:
            _check_variable(dataset, name, entry)
        elif entry.required:
            raise TableError(f"the variable {name} is missing")
    _check_axes(dataset)
    _check_scalars(dataset)
    _check_law(dataset)
    parts = (dataset[name].values for name in ("variant", "retention_weight", "retention_total"))
    for variant, weight, total in zip(*parts, strict=True):
        _check_retention(str(variant), weight, total)
    _check_derived_rows(dataset)


def check_digest(dataset: xr.Dataset) -> None:
    """Raise `TableError` where the content is not that which the digest was taken of."""
    if DIGEST not in dataset.attrs:
        raise TableError(f"the attribute {DIGEST} is missing")
    if dataset.attrs[DIGEST] != digest(dataset):
        raise TableError(
            f"the content was changed after it was written: its SHA-256 is {digest(dataset)[:12]}..., "
            f"not {str(dataset.attrs[DIGEST])[:12]}...; make it again with: rmaat distill"
        )


def digest(dataset: xr.Dataset) -> str:
    """SHA-256 of all that `dataset` holds, but for the digest itself."""
    return content_digest(dataset.assign_attrs({DIGEST: ""}))


def sealed(dataset: xr.Dataset) -> xr.Dataset:
    """`dataset` with the digest of its content."""
    return dataset.assign_attrs({DIGEST: digest(dataset)})


def law_of(dataset: xr.Dataset) -> Law:
    """The law that the tables' increments are continued by."""
    shares, rates = (tuple(map(float, dataset[name].values)) for name in ("law_share", "law_rate"))
    name, end = str(dataset["law_share"].attrs.get("law", "geometric")), float(dataset["law_saturation"])
    return Law(name, end, shares, rates, float(dataset["law_stretch"]))


def _check_head(dataset: xr.Dataset) -> None:
    found = (dataset.attrs.get("schema"), dataset.attrs.get("schema_version"))
    if found != (SCHEMA, SCHEMA_VERSION):
        raise TableError(
            f"schema {found[0]} version {found[1]} found, {SCHEMA} version {SCHEMA_VERSION} wanted; "
            "make the tables again with: rmaat distill"
        )
    for name in PROVENANCE:
        if name not in dataset.attrs:
            raise TableError(f"the attribute {name} is missing")
    for name in _RECORDS:
        try:
            json.loads(dataset.attrs[name])
        except (TypeError, ValueError):
            raise TableError(f"the attribute {name} is not JSON") from None
    if not re.fullmatch("[0-9a-f]{64}", str(dataset.attrs["traces_sha256"])):
        raise TableError("the attribute traces_sha256 is not a SHA-256")


def _check_variable(dataset: xr.Dataset, name: str, entry: Entry) -> None:
    variable = dataset[name]
    if variable.dims != entry.dims:
        raise TableError(f"{name} has the dimensions {variable.dims}, not {entry.dims}")
    if variable.dtype.kind not in "iuf":
        raise TableError(f"{name} holds {variable.dtype} values, not numbers")
    values = variable.values
    if not np.isfinite(values).all():
        raise TableError(f"{name} holds a value that is not finite")
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
        if name not in VARIANTS:
            raise TableError(unknown_name("retention variant", name, VARIANTS))
    for name in VARIANTS:
        if variants.count(name) != 1:
            raise TableError(f"the retention variant {name} stands {variants.count(name)} times, not once")
    if dataset.sizes["length"] != dataset.sizes["segment"]:
        raise TableError(f"there are {dataset.sizes['length']} lengths but {dataset.sizes['segment']} segments")
    for name in ("length", "segment"):
        if (dataset[name].values != np.arange(1, dataset.sizes[name] + 1)).any():
            raise TableError(f"{name} does not count from 1")
    if (np.diff(dataset["distance"].values) <= 0).any():
        raise TableError("distance does not increase")
    if dataset.sizes["bound"] != 2:
        raise TableError(f"an interval has {dataset.sizes['bound']} ends, not 2")


def _check_scalars(dataset: xr.Dataset) -> None:
    exponent = float(dataset["exponent"])
    if not 0 < exponent <= 1:
        raise TableError(f"the exponent is {exponent:g}; it must lie above 0 and at most at 1")
    for name in INTERVALS:
        low, high = dataset[f"{name}_interval"].values
        if not low <= float(dataset[name]) <= high:
            raise TableError(f"{name} is {float(dataset[name]):g}, outside its interval from {low:g} to {high:g}")
    low, high = dataset["exponent_range"].values
    if not low < high:
        raise TableError(f"exponent_range goes from {low:g} to {high:g}, which is no range")


def _check_law(dataset: xr.Dataset) -> None:
    if not np.isclose(dataset["law_share"].values.sum(), 1, rtol=1e-9):
        raise TableError(f"the shares of the law sum to {dataset['law_share'].values.sum():g}, not to 1")
    if float(dataset["law_stretch"]) > 1:
        raise TableError(f"law_stretch is {float(dataset['law_stretch']):g}; increments fall only up to 1")
    if sorted(dataset["random_order"].values) != list(range(1, dataset.sizes["segment"] + 1)):
        raise TableError("random_order does not hold each segment once")
    reached = float(law_of(dataset).values(dataset["horizon_cycles"].values) / float(dataset["law_saturation"]))
    wanted = -np.expm1(-float(dataset["horizon_saturation"]))
    if not np.isclose(reached, wanted, rtol=1e-9):
        raise TableError(f"the law has grown to {reached:.4g} of its end in horizon_cycles, not to {wanted:.4g}")


def _check_retention(variant: str, weight: Array, total: Array) -> None:
    where = f"the retention factors of {variant}"
    # A weight of 0 is what becomes of one too small for a float, from about segment 1500 at a = 0.5.
    if (weight < 0).any() or (total <= 0).any() or (np.maximum.accumulate(weight) > total * (1 + 1e-12)).any():
        raise TableError(f"{where} must lie between 0 and 1")
    # Shuffled weights are those of the longest T alone.
    sums = (weight.sum(), total[-1]) if FORMS[variant] == SHUFFLED else (weight.cumsum(), total)
    if variant in NORMALISED and not np.allclose(*sums, rtol=1e-9, atol=0):
        raise TableError(f"{where} do not sum to 1 over the segments")
    if variant not in RISING and (np.diff(weight) > 1e-12 * weight[:-1]).any():
        raise TableError(f"{where} increase from one segment to the next")


def _check_derived_rows(dataset: xr.Dataset) -> None:
    """What is stored of the variants that depend on T in another way must be what it is calculated from."""
    for variant, weight in _derived_rows(dataset):
        row = list(dataset["variant"].values).index(variant)
        if int(dataset["retention_form"].values[row]) != FORMS[variant]:
            raise TableError(f"retention_form of {variant} is {int(dataset['retention_form'].values[row])}")
        if weight is not None and not np.allclose(
            dataset["retention_weight"].values[row], weight, rtol=1e-9, atol=1e-300
        ):
            raise TableError(f"the retention factors of {variant} do not follow from the law and the increments")


def _derived_rows(dataset: xr.Dataset) -> Iterator[tuple[str, Array | None]]:
    increment = dataset["increment"].values
    horizon = law_of(dataset).slowed_factors(float(dataset["horizon_cycles"]), len(increment))
    known = {
        "increment": increment,
        "horizon": horizon,
        "random": increment[dataset["random_order"].values - 1],
    }
    for variant in VARIANTS:
        yield variant, known.get(variant)
