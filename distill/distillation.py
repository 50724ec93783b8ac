"""`distil`: from simulated traces to the tables that the model uses."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from distill.checks import sealed
from distill.coupling import Anisotropy, compare_kernels, fit_kernel, measure_anisotropy
from distill.exponent import PowerLaw, fit_power_law
from distill.law import cycles_to_reach
from distill.law_fit import EXACT, LawFit, fit_laws
from distill.long_term import LongTermCurve, fit_curve
from distill.parameters import DistillParameters
from distill.readings import draws_random_numbers, first_stimulus, long_term_curves, pairs
from distill.retention import retention_parts, shuffled_order, slowed_factors
from distill.schema import FORMS, SCHEMA, SCHEMA_VERSION, VARIABLES, VARIANTS
from distill.tables import Tables
from rmaat.base.arrays import Array
from rmaat.base.provenance import content_digest, versions


def distil(traces: xr.Dataset, parameters: DistillParameters = DistillParameters()) -> Tables:  # noqa: B008 (frozen)
    """Retention factors, coupling decay and presynaptic exponent from `traces` (see `astro_sim.runs.traces`).

    No number of segments needs a new simulation. Several trials, along the axis `trial`, give the tables of their mean.
    Traces from `astro_sim.runs.traces.open_traces` are read in pieces and may be larger than memory.

    Raises
    ------
    DistillError
        The traces do not determine a table: they have too few cycles, a curve that no law follows, or a layout with
        a single distance.
    """
    curve, found = fit_long_term(traces, parameters, parameters.segments), pairs(traces)
    values = {
        **_retention_values(curve, parameters),
        "distance": np.unique(found.distance.round(9)),
        **_kernel_values("coupling", found.distance, found.coupling),
        **_kernel_values("influence", found.distance, found.influence),
        **_anisotropy_values(measure_anisotropy(found.offset, found.distance, found.influence)),
        "token_spacing": parameters.token_spacing,
        **_exponent_values(fit_exponent(traces, parameters)),
    }
    return Tables(sealed(_dataset(values, curve, traces, parameters)))


def fit_long_term(
    traces: xr.Dataset,
    parameters: DistillParameters,
    cycles: int,
    laws: Callable[[Array], tuple[LawFit, ...]] = fit_laws,
) -> LongTermCurve:
    """The long-term curve of `traces`, continued to `cycles`; see `distill.long_term.fit_curve`."""
    return fit_curve(
        long_term_curves(traces),
        cycles,
        laws=laws,
        stochastic=draws_random_numbers(traces),
        resamples=parameters.bootstrap_resamples,
        seed=parameters.seed,
    )


def fit_exponent(traces: xr.Dataset, parameters: DistillParameters) -> PowerLaw:
    """The presynaptic exponent, fitted over the first stimulus; see `distill.exponent.fit_power_law`."""
    stimulus = first_stimulus(traces)
    return fit_power_law(stimulus.time, stimulus.activity, stimulus.response, parameters.exponent_range_start)


def _retention_values(curve: LongTermCurve, parameters: DistillParameters) -> dict[str, Any]:
    segments, law = parameters.segments, curve.law
    # The variant horizon ends where the law has grown to 1 - exp(-A) of its end.
    horizon = cycles_to_reach(law, -np.expm1(-parameters.horizon_saturation))
    order = shuffled_order(segments, parameters.seed)
    parts = retention_parts(curve, slowed_factors(law, horizon, segments), order)
    weights, totals = map(np.stack, zip(*(parts[variant] for variant in VARIANTS), strict=True))
    return {
        "length": np.arange(1, segments + 1, dtype=np.int32),
        "segment": np.arange(1, segments + 1, dtype=np.int32),
        "retention_form": np.array(list(FORMS.values()), dtype=np.int8),
        "retention_weight": weights,
        "retention_total": totals,
        "random_order": order,
        "increment": curve.increments,
        "increment_error": curve.increment_errors,
        "increment_simulated": (np.arange(segments) < curve.simulated).astype(np.int8),
        "horizon_saturation": parameters.horizon_saturation,
        "horizon_cycles": horizon,
        **_law_values(curve),
    }


def _law_values(curve: LongTermCurve) -> dict[str, Any]:
    law = curve.law
    return {
        "increment_rate": curve.rate.value,
        "increment_rate_error": curve.rate.error,
        "increment_rate_interval": curve.rate.interval,
        "increment_residual": curve.residual,
        "law_share": list(law.shares),
        "law_rate": list(law.rates),
        "law_stretch": law.stretch,
        "law_saturation": law.saturation,
        "long_term_curve": curve.growth,
        "law_residual": [fit.residual for fit in curve.fits],
        "law_prediction_error": [fit.prediction_error for fit in curve.fits],
        "trials": np.int32(curve.trials),
    }


def _kernel_values(name: str, distance: Array, strength: Array) -> dict[str, Any]:
    kernel, candidates = fit_kernel(distance, strength), compare_kernels(distance, strength)
    return {
        name: kernel.strength,
        f"{name}_amplitude": kernel.amplitude,
        f"{name}_scale": kernel.scale,
        f"{name}_scale_error": kernel.scale_error,
        f"{name}_scale_interval": kernel.scale_interval,
        f"{name}_residual": kernel.residual,
        f"{name}_kernel_scale": [candidate.scale for candidate in candidates],
        f"{name}_kernel_residual": [candidate.residual for candidate in candidates],
        f"{name}_kernel_criterion": [candidate.criterion for candidate in candidates],
        "kernel": [candidate.name for candidate in candidates],
    }


def _anisotropy_values(found: Anisotropy) -> dict[str, Any]:
    return {
        "anisotropy": found.size,
        "anisotropy_axis": found.axis,
        "anisotropy_p_value": found.p_value,
        "anisotropy_directions": np.int32(found.directions),
    }


def _exponent_values(law: PowerLaw) -> dict[str, Any]:
    return {
        "exponent": law.exponent,
        "exponent_error": law.exponent_error,
        "exponent_interval": law.exponent_interval,
        "exponent_local": law.local_exponents,
        "exponent_residual": law.residual,
        "exponent_range": law.activity_range,
    }


def _dataset(
    values: dict[str, Any], curve: LongTermCurve, traces: xr.Dataset, parameters: DistillParameters
) -> xr.Dataset:
    notes = _notes(curve)
    return xr.Dataset(
        {
            name: (entry.dims, np.asarray(values[name]), {**entry.attributes(), **notes.get(name, {})})
            for name, entry in VARIABLES.items()
        },
        coords={"variant": list(VARIANTS), "law": [fit.law.name for fit in curve.fits], "kernel": values["kernel"]},
        attrs={
            "Conventions": "CF-1.11",
            "title": "Tables distilled from simulated neuron-astrocyte dynamics",
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "distill_parameters": json.dumps(parameters.to_dict()),
            "distill_versions": json.dumps(versions("numpy", "scipy", "xarray")),
            "traces_sha256": content_digest(traces),
            # As text, because NetCDF-3 has no 64-bit integers and seeds may need them.
            "seed": str(traces.attrs["seed"]),
            **{name: traces.attrs[name] for name in ("parameters", "engine", "solver", "versions")},
        },
    )


def _notes(curve: LongTermCurve) -> dict[str, dict[str, str]]:
    """Attributes in words, by the variable that they explain."""
    if curve.simulated:
        source = f"the simulation's own for {curve.simulated} cycles, then the law {curve.law.name}"
    else:
        source = f"the fitted law {curve.law.name}, because the curve is noisy or its increments do not decrease"
    # Only the geometric law keeps its form when the simulation is slower.
    exact = curve.law.name == "geometric" and curve.residual <= EXACT
    return {
        "increment": {"source": source},
        "increment_error": {
            "method": "bootstrap over trials" if curve.trials > 1 else "jackknife over cycles; 0 where simulated"
        },
        "law_share": {"law": curve.law.name},
        "horizon_cycles": {
            "method": "exact scaling of the geometric law, a = A / T; no new simulation"
            if exact
            else f"the fitted law {curve.law.name} slowed, which is not what a new simulation would give; "
            f"it departs from the curve by {curve.residual:.2%} at most"
        },
    }
