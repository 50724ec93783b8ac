"""The schema of the tables file: every variable with its axes, unit and bounds; `distill.checks` applies it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from distill.law import Law

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
    "trace_area": SEPARABLE,
}
"""The distilled retention variants, and how each factor follows from the stored rows."""
VARIANTS = tuple(FORMS)
LEARNED = "learned"
"""The variant of a file that a training writes (`distill.learned`): the factors that a model has learned."""
FORMS |= {LEARNED: SEPARABLE}
OPTIONAL_VARIANTS = ("trace_area", LEARNED)
"""Variants that a file may lack: older files do, and those from traces that store few times of a cycle."""
NORMALISED = ("increment", "area", "horizon", "constant", "random", "trace_area")
"""Variants whose factors sum to 1 over the segments."""
RISING = ("area", "random", "trace_area", LEARNED)
"""Variants whose factors may increase from one segment to the next."""

_SCALE, _RATE = "1 / synapse spacing", "1 / cycle"


@dataclass(frozen=True)
class Entry:
    """One numerical variable of the schema."""

    dims: tuple[str, ...]
    long_name: str
    units: str = "1"
    symbol: str = ""
    least: float = -np.inf
    """the lowest value allowed"""
    above: float = -np.inf
    """a bound that all values must exceed"""
    flags: tuple[str, ...] = ()
    """meanings of the values 0, 1, ...; empty if the values are not flags"""

    def attributes(self) -> dict[str, Any]:
        """Attributes of the variable in the file, after the CF conventions."""
        # The CF conventions ask for values and meanings in place of a unit.
        flags = {"flag_values": np.arange(len(self.flags), dtype=np.int8), "flag_meanings": " ".join(self.flags)}
        return {
            "long_name": self.long_name,
            **({} if self.flags else {"units": self.units}),
            **({"symbol": self.symbol} if self.symbol else {}),
            **(flags if self.flags else {}),
        }


def _kernel(name: str, words: str) -> dict[str, Entry]:
    """The entries of the coupling put in, or of the influence measured: both have the same ones."""
    return {
        name: Entry(("distance",), f"mean {words} at each distance", symbol="T" if name == "coupling" else ""),
        f"{name}_amplitude": Entry((), f"fitted {words} at distance 0"),
        # Only an influence that falls with distance is kept; the coupling put in may have any scale.
        f"{name}_scale": Entry((), f"decay of the {words}", _SCALE, above=-np.inf if name == "coupling" else 0),
        f"{name}_scale_error": Entry((), f"standard error of the decay of the {words}", _SCALE, least=0),
        f"{name}_scale_interval": Entry(("bound",), f"95 % interval of the decay of the {words}", _SCALE),
        f"{name}_residual": Entry((), "rms residual of the exponential, share of the largest strength", least=0),
        f"{name}_kernel_scale": Entry(("kernel",), f"scale of each candidate for the {words}", "candidate's own"),
        f"{name}_kernel_residual": Entry(
            ("kernel",), "rms residual of each candidate, share of the largest strength", least=0
        ),
        f"{name}_kernel_criterion": Entry(("kernel",), "Akaike's criterion of each candidate, less is better"),
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
        ("cycle",), "mean long-term process at the ends of simulated cycles, above its start"
    ),
    "law_residual": Entry(
        ("law",), "largest distance of each law and the curve, share of the curve's end", least=0
    ),
    "law_prediction_error": Entry(
        ("law",), "rms error of each law at cycles left out of its fit, share of the curve's end", least=0,
    ),
    "trials": Entry((), "runs that the curve is the mean of", least=1),
    **_kernel("coupling", "coupling put in"),
    **_kernel("influence", "influence measured"),
    **_kernel("influence_driven", "influence measured in the driven steady state"),
    "anisotropy": Entry((), "relative change of the influence's decay with direction", least=0),
    "anisotropy_axis": Entry((), "direction of the fastest decay, from the x axis", "degree"),
    "anisotropy_p_value": Entry((), "p-value of the F test of anisotropy", least=0),
    "anisotropy_directions": Entry((), "directions that pairs of synapses have", least=0),
    "token_spacing": Entry((), "distance of neighbouring tokens", "synapse spacing", above=0),
    "exponent": Entry((), "presynaptic exponent", symbol="alpha"),
    "exponent_error": Entry((), "standard error of the exponent", least=0),
    "exponent_interval": Entry(("bound",), "95 % interval of the exponent"),
    "exponent_local": Entry(
        ("bound",), "exponents of the first and the last quarter of the range"
    ),
    "exponent_residual": Entry((), "rms residual of the logarithm of the response", least=0),
    "exponent_range": Entry(("bound",), "cumulative activity at both ends of the fit", "s", above=0),
    "exponent_correlation": Entry((), "correlation of neighbouring residuals that the interval allows for", least=0),
    "tail_rate": Entry((), "rate of the increments after the simulated ones, in place of the law's", _RATE, above=0),
}  # fmt: skip
"""Every numerical variable of a tables file. All are required, except those of a part that is left out."""

_ANISOTROPY = ("anisotropy", "anisotropy_axis", "anisotropy_p_value", "anisotropy_directions")
_FIT = ("exponent_error", "exponent_interval", "exponent_local", "exponent_residual", "exponent_range")
PARTS: Mapping[str, tuple[str, ...]] = {
    "coupling": tuple(_kernel("coupling", "")),
    "influence": (*_kernel("influence", ""), *_ANISOTROPY),
    "influence_driven": tuple(_kernel("influence_driven", "")),
    "exponent": ("exponent",),
    "exponent_fit": _FIT,
    "exponent_correlation": ("exponent_correlation",),
    "tail": ("tail_rate",),
}
"""The variables of each part that a file may lack as a whole, if the attribute `LEFT_OUT` gives the reason."""
ADDED_PARTS = ("influence_driven", "exponent_correlation", "tail")
"""Parts that a file may lack without a reason: older files do."""
LEFT_OUT = "left_out"
"""The attribute with the reasons of all parts and variants that are left out, as JSON; older files lack none."""

INTERVALS = ("increment_rate", "coupling_scale", "influence_scale", "influence_driven_scale", "exponent")
"""Variables that have a 95 % interval, NAME_interval."""
PROVENANCE = (
    "parameters", "distill_parameters", "engine", "solver", "seed", "versions", "distill_versions", "traces_sha256"
)  # fmt: skip
DIGEST = "content_sha256"
RECORDS = ("parameters", "distill_parameters", "solver", "versions", "distill_versions")
"""Provenance attributes that hold JSON."""


def left_out(dataset: xr.Dataset) -> dict[str, str]:
    """The reason for each part or variant that the tables lack; empty if they are complete or older."""
    return json.loads(dataset.attrs.get(LEFT_OUT, "{}"))


def continuation_of(dataset: xr.Dataset) -> Law:
    """The law of the increments after the simulated ones: the law chosen, unless late cycles have another rate."""
    if "tail_rate" not in dataset:
        return law_of(dataset)
    # Its size of 1 does not matter: the continuation is scaled to meet the last simulated increment.
    return Law("late", 1.0, (1.0,), (float(dataset["tail_rate"]),))


def law_of(dataset: xr.Dataset) -> Law:
    """The law fitted to the curve of the tables."""
    shares, rates = (tuple(map(float, dataset[name].values)) for name in ("law_share", "law_rate"))
    # A file that does not name its law has the geometric one.
    name, end = str(dataset["law_share"].attrs.get("law", "geometric")), float(dataset["law_saturation"])
    return Law(name, end, shares, rates, float(dataset["law_stretch"]))
