"""From traces to tables."""

import json

import numpy as np
import xarray as xr

from astro_sim.traces import content_digest, mean_over_synapses
from distill.coupling import ExponentialKernel, fit_kernel
from distill.exponent import PowerLaw, fit_power_law
from distill.parameters import DistillParameters
from distill.retention import VARIANTS, LongTermCurve, fit_curve, retention_parts
from distill.tables import SCHEMA, SCHEMA_VERSION, Tables
from rmaat.versions import versions


def distil(traces: xr.Dataset, parameters: DistillParameters = DistillParameters()) -> Tables:  # noqa: B008 (frozen)
    """Retention factors, coupling decay and presynaptic exponent from `traces` (see `astro_sim.traces`).

    Nothing is simulated again, whatever the number of segments. Traces of `astro_sim.traces.open_traces` are read piece
    by piece and may be larger than memory.

    Raises
    ------
    DistillError
        The traces do not determine a table: too few cycles, increments that grow, a layout with a single distance.
    """
    curve = fit_curve(_long_term_curve(traces), parameters.segments)
    distance, put_in, measured = (_pairs(traces, name) for name in ("synapse_distance", "coupling", "influence"))
    coupling, influence = (fit_kernel(distance, strength) for strength in (put_in, measured))
    return Tables(_dataset(traces, parameters, curve, coupling, influence, _exponent(traces, parameters)))


def _long_term_curve(traces: xr.Dataset) -> np.ndarray:
    times = np.concatenate([traces["time"].values[:1], traces["cycle_end"].values])
    return mean_over_synapses(traces["long_term_process"].sel(time=times))


def _pairs(traces: xr.Dataset, name: str) -> np.ndarray:
    """The values (pair,) of all stored sources with all synapses but themselves, each pair once.

    Coupling and influence are the same both ways; a pair counted twice would halve the variance of what is fitted.
    """
    width = traces.sizes["pre"]
    synapse = traces["post"] * width + traces["pre"]
    source = traces["source_post"] * width + traces["source_pre"]
    counted = (synapse == source) | (synapse.isin(source) & (synapse < source))
    values, leave_out = (array.transpose("post", "pre", "source").values for array in (traces[name], counted))
    return values[~leave_out]


def _exponent(traces: xr.Dataset, parameters: DistillParameters) -> PowerLaw:
    """Fitted over the first stimulus: the stored times of the first cycle at which the drive is on."""
    first = traces.sel(time=slice(None, float(traces["cycle_end"][0])))
    driven = first.isel(time=np.flatnonzero((first["presynaptic_drive"] > 0).any("pre").values))
    return fit_power_law(
        driven["time"].values,
        xr.apply_ufunc(np.tanh, driven["presynaptic_activity"]).mean("pre").values,
        mean_over_synapses(driven["short_term_process"]),
        parameters.exponent_range_start,
    )


def _dataset(
    traces: xr.Dataset,
    parameters: DistillParameters,
    curve: LongTermCurve,
    coupling: ExponentialKernel,
    influence: ExponentialKernel,
    law: PowerLaw,
) -> xr.Dataset:
    segments = np.arange(1, parameters.segments + 1, dtype=np.int32)
    weights, totals = map(np.stack, zip(*(retention_parts(curve, variant) for variant in VARIANTS), strict=True))
    simulated = (segments <= curve.simulated).astype(np.int8)

    def entry(dimensions: tuple[str, ...], values: object, long_name: str, units: str = "1", **extra: object) -> tuple:
        return dimensions, values, {"long_name": long_name, "units": units, **extra}

    per_spacing = "1 / synapse spacing"
    return xr.Dataset(
        {
            "retention_weight": entry(
                ("variant", "segment"), weights, "retention factor RF(t, T) = weight(t) / total(T)", symbol="w(t)"
            ),
            "retention_total": entry(
                ("variant", "length"), totals, "retention factor RF(t, T) = weight(t) / total(T)", symbol="W(T)"
            ),
            "increment": entry(
                ("segment",), curve.increments, "growth of the mean long-term process per cycle", symbol="Delta_t"
            ),
            "increment_simulated": entry(
                ("segment",), simulated, "1 where simulated, 0 where the fitted law continues it"
            ),
            "increment_rate": entry((), curve.rate, "rate of the fitted law", "1 / cycle", symbol="a"),
            "increment_rate_error": entry((), curve.rate_error, "standard error of the rate", "1 / cycle"),
            "increment_residual": entry(
                (), curve.residual, "largest distance of law and curve, share of the curve's end"
            ),
            "coupling": entry(("distance",), coupling.strength, "mean coupling put in at each distance", symbol="T"),
            "coupling_scale": entry((), coupling.scale, "decay of the coupling put in", per_spacing),
            "influence": entry(("distance",), influence.strength, "mean measured influence at each distance"),
            "influence_amplitude": entry((), influence.amplitude, "fitted influence at distance 0"),
            "influence_scale": entry(
                (), influence.scale, "decay of the measured influence", per_spacing, symbol="scale"
            ),
            "influence_scale_error": entry((), influence.scale_error, "standard error of the decay", per_spacing),
            "influence_residual": entry(
                (), influence.residual, "rms residual of the fit, share of the largest influence"
            ),
            "token_spacing": entry((), parameters.token_spacing, "distance of neighbouring tokens", "synapse spacing"),
            "exponent": entry((), law.exponent, "presynaptic exponent", symbol="alpha"),
            "exponent_error": entry((), law.exponent_error, "standard error of the exponent"),
            "exponent_residual": entry((), law.residual, "rms residual of the logarithm of the response"),
            "exponent_range": entry(
                ("bound",), list(law.activity_range), "cumulative activity at both ends of the fit", "s"
            ),
        },
        coords={
            "variant": list(VARIANTS),
            "length": ("length", segments, {"long_name": "number of segments T", "units": "1"}),
            "segment": ("segment", segments, {"long_name": "segment t", "units": "1"}),
            "distance": ("distance", coupling.distance, {"long_name": "distance", "units": "synapse spacing"}),
        },
        attrs={
            "Conventions": "CF-1.11",
            "title": "Tables distilled from simulated neuron-astrocyte dynamics",
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "distill_parameters": json.dumps(parameters.to_dict()),
            "distill_versions": json.dumps(versions("numpy", "scipy", "xarray")),
            "traces_sha256": content_digest(traces),
            # As text, because NetCDF-3 holds no integer as large as a seed may be.
            "seed": str(traces.attrs["seed"]),
            **{name: traces.attrs[name] for name in ("parameters", "engine", "solver", "versions")},
        },
    )
