"""`distil`: from simulated traces to the tables that the model uses."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from distill.checks import sealed
from distill.coupling import KERNELS, Anisotropy, compare_kernels, fit_kernel, measure_anisotropy
from distill.errors import DistillError
from distill.exponent import PowerLaw, fit_power_law
from distill.law import cycles_to_reach
from distill.law_fit import EXACT, LawFit, fit_laws
from distill.long_term import LongTermCurve, fit_curve
from distill.parameters import DistillParameters
from distill.readings import Pairs, cycle_areas, draws_random_numbers, first_stimulus, long_term_curves, pairs
from distill.retention import continued_areas, retention_parts, shuffled_order, slowed_factors
from distill.schema import FORMS, LEFT_OUT, SCHEMA, SCHEMA_VERSION, VARIABLES, VARIANTS
from distill.tables import Tables
from rmaat.base.arrays import Array
from rmaat.base.provenance import content_digest, versions

USED_INFLUENCE = (
    "the model takes the influence at rest, because it depends on the network alone; the driven one depends on the "
    "drive as well"
)
"""Why the model does not take the influence in the driven steady state, as the file says."""


def distil(traces: xr.Dataset, parameters: DistillParameters = DistillParameters()) -> Tables:  # noqa: B008 (frozen)
    """Retention factors, coupling decay and presynaptic exponent from `traces` (see `astro_sim.runs.traces`).

    No number of segments needs a new simulation. Several trials, along the axis `trial`, give the tables of their mean.
    Traces from `astro_sim.runs.traces.open_traces` are read in pieces and may be larger than memory.

    A part that the traces do not determine is left out, and the attribute `left_out` gives the reason: the coupling,
    the influence at rest or driven, the exponent, or the variant trace_area.

    Raises
    ------
    DistillError
        The traces do not determine retention factors: they have too few cycles, or a curve that no law follows.
    """
    curve, found = fit_long_term(traces, parameters, parameters.segments), pairs(traces)
    values: dict[str, Any] = {"token_spacing": parameters.token_spacing}
    reasons: dict[str, str] = {}
    makers: dict[str, Callable[[], dict[str, Any]]] = {
        "coupling": lambda: _kernel_values("coupling", found.distance, found.coupling),
        "influence": lambda: _influence_values(found),
        "influence_driven": lambda: _driven_values(found),
        "exponent": lambda: _exponent_values(traces, parameters),
        "trace_area": lambda: _area_parts(traces, curve.increments),
    }
    # A part that cannot be measured must not lose the others: a model may need the retention factors alone.
    for part, make in makers.items():
        try:
            values |= make()
        except DistillError as error:
            reasons[part] = str(error)
    # Both parts share the axis `distance`, so it stays if one of them does.
    if {"coupling", "influence"} - {*reasons}:
        values["distance"] = np.unique(found.distance.round(9))
    if "exponent_interval" not in values:
        reasons["exponent_fit"] = reasons.get("exponent", f"the exponent {parameters.exponent:g} was given, not fitted")
    # The areas become a row of the retention variants; the file has no variable of that name.
    values |= _retention_values(curve, parameters, values.pop("trace_area", None))
    return Tables(sealed(_dataset(values, reasons, curve, traces, parameters)))


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


def _retention_values(
    curve: LongTermCurve, parameters: DistillParameters, areas: tuple[Array, Array] | None
) -> dict[str, Any]:
    segments, law = parameters.segments, curve.law
    # The variant horizon ends where the law has grown to 1 - exp(-A) of its end.
    horizon = cycles_to_reach(law, -np.expm1(-parameters.horizon_saturation))
    order = shuffled_order(segments, parameters.seed)
    parts = retention_parts(curve, slowed_factors(law, horizon, segments), order)
    if areas is not None:
        parts["trace_area"] = areas
    # Always the schema's order, so that equal tables give equal bytes.
    variants = [variant for variant in VARIANTS if variant in parts]
    weights, totals = map(np.stack, zip(*(parts[variant] for variant in variants), strict=True))
    return {
        "variant": variants,
        "length": np.arange(1, segments + 1, dtype=np.int32),
        "segment": np.arange(1, segments + 1, dtype=np.int32),
        "retention_form": np.array([FORMS[variant] for variant in variants], dtype=np.int8),
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


def _area_parts(traces: xr.Dataset, increments: Array) -> dict[str, Any]:
    """The weight and the total of the variant trace_area."""
    areas = continued_areas(cycle_areas(traces), increments)
    # RF divides by the running sum of the areas, which must not vanish or decrease.
    if (areas <= 0).any():
        raise DistillError(f"the area under the curve is {areas.min():.3g} in a cycle and must be above 0")
    return {"trace_area": (areas, areas.cumsum())}


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
        # Only if late cycles have another rate: without this entry, readers continue with the law.
        **({"tail_rate": curve.tail.rate} if curve.tail and curve.tail.late else {}),
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
    }


def _influence_values(found: Pairs) -> dict[str, Any]:
    return {
        **_falling("influence", found.distance, found.influence),
        **_anisotropy_values(measure_anisotropy(found.offset, found.distance, found.influence)),
    }


def _driven_values(found: Pairs) -> dict[str, Any]:
    if found.influence_driven is None:
        raise DistillError(
            "the traces do not hold it: they are from an earlier version, from the biophysical model or without a "
            "drive; simulate again"
        )
    return _falling("influence_driven", found.distance, found.influence_driven)


def _falling(name: str, distance: Array, strength: Array) -> dict[str, Any]:
    """The values of an influence, which attention can use only if it falls with distance."""
    # With a scale of 0 or less, attention would grow with the distance of two tokens.
    values = _kernel_values(name, distance, strength)
    if values[f"{name}_scale"] <= 0:
        raise DistillError(
            f"the influence does not fall with distance (its decay is {values[f'{name}_scale']:.3g} per synapse "
            "spacing); simulate another layout or weaker coupling"
        )
    return values


def _anisotropy_values(found: Anisotropy) -> dict[str, Any]:
    return {
        "anisotropy": found.size,
        "anisotropy_axis": found.axis,
        "anisotropy_p_value": found.p_value,
        "anisotropy_directions": np.int32(found.directions),
    }


def _exponent_values(traces: xr.Dataset, parameters: DistillParameters) -> dict[str, Any]:
    if parameters.exponent:
        # A given number has no error, interval or range. Readers recognise it by their absence.
        return {"exponent": parameters.exponent}
    law = fit_exponent(traces, parameters)
    return {
        "exponent": law.exponent,
        "exponent_error": law.exponent_error,
        "exponent_interval": law.exponent_interval,
        "exponent_local": law.local_exponents,
        "exponent_residual": law.residual,
        "exponent_range": law.activity_range,
        "exponent_correlation": law.correlation,
    }


def _dataset(
    values: dict[str, Any],
    reasons: dict[str, str],
    curve: LongTermCurve,
    traces: xr.Dataset,
    parameters: DistillParameters,
) -> xr.Dataset:
    notes = {**_notes(curve), "exponent": _exponent_note(parameters), "influence_scale": {"used": USED_INFLUENCE}}
    return xr.Dataset(
        {
            name: (entry.dims, np.asarray(values[name]), {**entry.attributes(), **notes.get(name, {})})
            # NetCDF-3 stores variables in the order of the dataset, which is thus always the schema's.
            for name, entry in VARIABLES.items()
            if name in values
        },
        coords={
            "variant": values["variant"],
            "law": [fit.law.name for fit in curve.fits],
            **({"kernel": list(KERNELS)} if {"coupling", "influence"} - {*reasons} else {}),
        },
        attrs={
            "Conventions": "CF-1.11",
            "title": "Tables distilled from simulated neuron-astrocyte dynamics",
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "distill_parameters": json.dumps(parameters.to_dict()),
            "distill_versions": json.dumps(versions("numpy", "scipy", "xarray")),
            LEFT_OUT: json.dumps(reasons),
            "traces_sha256": content_digest(traces),
            # As text, because NetCDF-3 has no 64-bit integers and seeds may need them.
            "seed": str(traces.attrs["seed"]),
            **{name: traces.attrs[name] for name in ("parameters", "engine", "solver", "versions")},
        },
    )


def _exponent_note(parameters: DistillParameters) -> dict[str, str]:
    if parameters.exponent:
        return {"source": "given, not fitted"}
    return {
        "source": "fitted",
        "validity": "no constant of the model: it falls with a later start of the range and with a longer stimulus",
    }


def _notes(curve: LongTermCurve) -> dict[str, dict[str, str]]:
    """Attributes in words, by the variable that they explain."""
    if curve.simulated:
        then = "with the rate of the last ones" if curve.tail and curve.tail.late else f"the law {curve.law.name}"
        source = f"the simulation's own for {curve.simulated} cycles, then {then}"
    else:
        source = f"the fitted law {curve.law.name}, because the curve is noisy or its increments do not decrease"
    # Only the geometric law keeps its form when the simulation is slower.
    exact = curve.law.name == "geometric" and curve.residual <= EXACT
    return {
        "increment": {"source": source},
        "increment_error": {
            "method": "bootstrap over trials"
            if curve.trials > 1
            else "misfit of the rate in the last simulated cycle; 0 where simulated"
            if curve.tail
            else "jackknife over cycles; 0 where simulated"
        },
        "law_share": {"law": curve.law.name},
        "horizon_cycles": {
            "method": "exact scaling of the geometric law, a = A / T; no new simulation"
            if exact
            else f"the fitted law {curve.law.name} slowed, which is not what a new simulation would give; "
            f"it departs from the curve by {curve.residual:.2%} at most"
        },
    }
