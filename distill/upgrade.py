"""Tables of earlier schema versions, brought up when they are read.

From version 1, which knew the geometric law alone:

- the variants area, horizon and random are calculated from its law and increments;
- 95 % intervals come from its standard errors, of a normal error;
- increments continued by the law get the error that the rate's gives them;
- what only the traces tell is left out: the laws compared, the candidates for the kernel, the test of anisotropy, the
  long-term curve, local exponents. `rmaat distill` on the traces, whose SHA-256 the tables hold, gives them.

`upgraded_from` tells that it was done. A later version adds a function here that starts where the one before ends.
"""

import numpy as np
import xarray as xr

from distill.errors import TableError
from distill.law import Law
from distill.retention import areas, shuffled_order
from distill.schema import FORMS, INTERVALS, SCHEMA_VERSION, VARIABLES, VARIANTS, sealed
from rmaat.base.arrays import Array

NORMAL = 1.959963984540054
"""Standard errors from the middle of a normal distribution that hold 95 % of it."""
HORIZON_SATURATION = 3.0
SEED = 0

VERSION_1 = (
    "variant", "retention_weight", "retention_total", "increment", "increment_simulated", "increment_rate",
    "increment_rate_error", "increment_residual", "distance", "coupling", "coupling_scale", "influence",
    "influence_amplitude", "influence_scale", "influence_scale_error", "influence_residual", "token_spacing",
    "exponent", "exponent_error", "exponent_residual", "exponent_range",
)  # fmt: skip
"""What version 1 held."""


def from_version_1(dataset: xr.Dataset) -> xr.Dataset:
    """`dataset`, of schema version 1, as version 2.

    Raises
    ------
    TableError
        It is not as version 1 was.
    """
    for name in VERSION_1:
        if name not in dataset.variables:
            raise TableError(f"the variable {name} is missing")
    try:
        return sealed(_upgraded(dataset))
    except (ValueError, TypeError, IndexError) as error:
        raise TableError("schema version 1 found, but not in its form; make it again with: rmaat distill") from error


def _upgraded(dataset: xr.Dataset) -> xr.Dataset:
    increment, rate = dataset["increment"].values, float(dataset["increment_rate"])
    end = float(increment[0] / -np.expm1(-rate))
    law = Law("geometric", end, (1.0,), (rate,))
    order = shuffled_order(len(increment), SEED)
    rows = {
        "area": areas(law, len(increment)),
        "horizon": law.slowed_factors(HORIZON_SATURATION / rate, len(increment)),
        "random": increment[order - 1],
    }
    weight, total = (_rows(dataset, name, rows) for name in ("retention_weight", "retention_total"))
    values = {
        "retention_form": np.array([FORMS[name] for name in VARIANTS], dtype=np.int8),
        "retention_weight": weight,
        "retention_total": total,
        "random_order": order,
        "increment_error": _errors(dataset, increment),
        "law_share": [1.0],
        "law_rate": [rate],
        "law_stretch": 1.0,
        "law_saturation": end,
        "horizon_saturation": HORIZON_SATURATION,
        "horizon_cycles": HORIZON_SATURATION / rate,
        # Version 1 held the error of the influence's decay, and no other's; the coupling put in is exact.
        "coupling_scale_error": 0.0,
        "coupling_residual": 0.0,
    }
    kept = dataset.drop_vars(["variant", "retention_weight", "retention_total"])
    upgraded = kept.assign({name: _entry(name, value) for name, value in values.items()})
    upgraded = upgraded.assign(
        {f"{name}_interval": _entry(f"{name}_interval", _interval(upgraded, name)) for name in INTERVALS}
    ).assign_coords(variant=list(VARIANTS))
    upgraded["law_share"].attrs["law"] = "geometric"
    for name in upgraded.variables:
        if name in VARIABLES:
            upgraded[name].attrs = {**upgraded[name].attrs, **VARIABLES[str(name)].attributes()}
    return upgraded.assign_attrs(schema_version=SCHEMA_VERSION, upgraded_from=1)


def _entry(name: str, value: object) -> tuple:
    return VARIABLES[name].dims, value, VARIABLES[name].attributes()


def _rows(dataset: xr.Dataset, name: str, new: dict[str, Array]) -> Array:
    old = {str(variant): row for variant, row in zip(dataset["variant"].values, dataset[name].values, strict=True)}
    for variant in VARIANTS:
        if variant not in old and variant not in new:
            raise TableError(f"the retention variant {variant} is missing")
    summed = new | {"random": np.sort(new["random"])[::-1]}
    made = new if name == "retention_weight" else {variant: row.cumsum() for variant, row in summed.items()}
    return np.stack([(old | made)[variant] for variant in VARIANTS])


def _errors(dataset: xr.Dataset, increment: Array) -> Array:
    """d/da of the continued increments, exp(-a n) of the last simulated one, times the error of a."""
    simulated = dataset["increment_simulated"].values == 1
    beyond = np.maximum(np.arange(1, len(increment) + 1) - simulated.sum(), 0)
    return np.where(simulated, 0.0, increment * beyond * float(dataset["increment_rate_error"]))


def _interval(dataset: xr.Dataset, name: str) -> Array:
    half = NORMAL * float(dataset[f"{name}_error"])
    return float(dataset[name]) + np.array([-half, half])
