"""Sweeps: simulate and distil many points, to see how the tables change with parameters of the simulation.

Every point gets retention factors, the rate of its increments, the decay of its influence and its exponent. They equal
those of `distil` to the bit; tables are not made, because that would cost more than these numbers. The three parts are
independent: if one fails its values are NaN, with the reason, and the others are kept.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from astro_sim.runs.batch import simulate_batch
from astro_sim.sweep import Design, InProcess, Workers, run_sweep
from astro_sim.sweep.runner import MESSAGE, Outcome, attempt
from distill.coupling import fit_kernel
from distill.distillation import fit_exponent, fit_long_term
from distill.inverse.sweep_file import SCHEMA, SCHEMA_VERSION
from distill.law_fit import fit_laws_until_exact
from distill.parameters import DistillParameters
from distill.readings import pairs
from distill.retention import increment_factors
from rmaat.base.errors import UsageError
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.provenance import versions
from rmaat.base.records import Record

Values = dict[str, Any]
"""Values by name, in the form that `xarray.Dataset` takes."""

POINTS_TOGETHER = 64
"""Points of the rate model in a batch; larger ones delay the progress and save hardly any time per point."""

PER_SPACING = "1 / synapse spacing"
QUANTITIES: Mapping[str, tuple[str, str, str]] = {
    "retention": ("retention factor, variant increment", "1", "RF(t, T)"),
    "increment": ("growth of the mean long-term process per cycle", "1", "Delta_t"),
    "increments_simulated": ("increments that were simulated; the fitted law continues them", "1", ""),
    "increment_rate": ("rate of the fitted law", "1 / cycle", "a"),
    "increment_rate_error": ("standard error of the rate", "1 / cycle", ""),
    "increment_residual": ("largest distance of law and curve, share of the curve's end", "1", ""),
    "coupling_scale_found": ("decay of the coupling put in", PER_SPACING, ""),
    "influence_scale": ("decay of the measured influence", PER_SPACING, "scale"),
    "influence_scale_error": ("standard error of the decay", PER_SPACING, ""),
    "influence_amplitude": ("fitted influence at distance 0", "1", ""),
    "influence_residual": ("rms residual of the fit, share of the largest influence", "1", ""),
    "exponent": ("presynaptic exponent", "1", "alpha"),
    "exponent_error": ("standard error of the exponent", "1", ""),
    "exponent_residual": ("rms residual of the logarithm of the response", "1", ""),
}
"""The quantities of each point: meaning, unit and symbol by name."""
AXES: Mapping[str, tuple[str, str, str]] = {
    "point": ("number of the point", "1", ""),
    "length": ("number of segments T", "1", ""),
    "segment": ("segment t", "1", ""),
}
"""The axes: meaning, unit and symbol by name."""


@dataclass(frozen=True)
class Distillation:
    """Distils traces to `QUANTITIES`, with retention factors for each total length T, in segments, of `lengths`.

    Raises
    ------
    UsageError
        There is no length, or one is not positive.
    """

    lengths: tuple[int, ...] = (4, 8, 16)
    parameters: DistillParameters = field(default_factory=DistillParameters)

    def __post_init__(self) -> None:
        if not self.lengths or min(self.lengths) < 1:
            raise UsageError(f"lengths are {self.lengths}; give whole numbers of segments from 1")

    def __call__(self, traces: xr.Dataset) -> xr.Dataset:
        """The quantities of one point; those of a part that fails are missing, and `message` says why."""
        # Each part on its own, so that the failure of one does not lose the others.
        found = [attempt(part, traces) for part in (self._retention, _influence, self._exponent)]
        reasons = [str(outcome) for outcome in found if isinstance(outcome, Exception)]
        values = {name: value for part in found if not isinstance(part, Exception) for name, value in part.items()}
        return xr.Dataset(values | {MESSAGE: "; ".join(reasons)})

    def _retention(self, traces: xr.Dataset) -> Values:
        longest = max(self.lengths)
        # With restarts the geometric law is exact, and no other law needs to be fitted.
        curve = fit_long_term(traces, self.parameters, longest, fit_laws_until_exact)
        factors = np.full((len(self.lengths), longest), np.nan)
        for row, length in zip(factors, self.lengths, strict=True):
            # All rows have the longest T; NaN fills those of a shorter one.
            row[:length] = increment_factors(curve.increments, length)
        return {
            "length": ("length", list(self.lengths)),
            "segment": ("segment", np.arange(1, longest + 1)),
            "retention": (("length", "segment"), factors),
            "increment": ("segment", curve.increments),
            "increments_simulated": float(curve.simulated),
            "increment_rate": curve.rate.value,
            "increment_rate_error": curve.rate.error,
            "increment_residual": curve.residual,
        }

    def _exponent(self, traces: xr.Dataset) -> Values:
        law = fit_exponent(traces, self.parameters)
        return {"exponent": law.exponent, "exponent_error": law.exponent_error, "exponent_residual": law.residual}


@dataclass(frozen=True)
class RateModelMeasure:
    """Simulates points of the rate model as one batch and distils each; `SpikingModelMeasure` is its counterpart."""

    distillation: Distillation

    def __call__(self, points: Sequence[Any]) -> list[Outcome]:
        """The quantities at each point, or the error that prevented them."""
        # A point that cannot be simulated keeps its error, and the others their traces.
        outcomes = simulate_batch(points)
        return [entry if isinstance(entry, Exception) else attempt(self.distillation, entry) for entry in outcomes]


@dataclass(frozen=True)
class SpikingModelMeasure:
    """Simulates points of the biophysical model one by one, each in its own process; see `RateModelMeasure`."""

    distillation: Distillation

    def __call__(self, points: Sequence[Any]) -> list[Outcome]:
        """The quantities at each point, or the error that prevented them."""
        return [attempt(self._measure, point) for point in points]

    def _measure(self, point: Any) -> xr.Dataset:
        # Imported here, because sweeps of the rate model do not need the spiking network.
        from astro_sim.biophysics.spiking.simulation import simulate_biophysical

        return self.distillation(simulate_biophysical(point))


def sweep(
    base: Record,
    design: Design,
    measure: RateModelMeasure | SpikingModelMeasure,
    folder: Path,
    workers: Workers = InProcess(),  # noqa: B008 (frozen)
    progress: Progress = ignore_progress,
) -> xr.Dataset:
    """Simulate and distil all points of `design` around `base`; `astro_sim.sweep.run_sweep` gives the arguments.

    The result has `QUANTITIES` along `point`, and the varied parameters with their units as coordinates. Attributes
    hold the design, all other parameters and the versions. There is no time stamp, so equal sweeps give equal files.
    An interrupt keeps the finished batches in `folder`; the same call continues from them.
    """
    together = POINTS_TOGETHER if isinstance(measure, RateModelMeasure) else 1
    dataset = run_sweep(base, design, measure, folder, workers, batch_size=together, progress=progress)
    for name, attributes in _variable_attributes(base, design).items():
        if name in dataset.variables:
            dataset[name].attrs = attributes
    return dataset.assign_attrs(_attributes(base, design, measure))


def _variable_attributes(base: Record, design: Design) -> dict[str, dict[str, str]]:
    """Attributes by variable: meaning, unit and symbol of quantities, varied parameters and axes."""
    described = {**QUANTITIES, **AXES}
    for path, _, quantity in base.parameters():
        if path[-1] in design.axes:
            described[path[-1]] = quantity.meaning, quantity.unit, quantity.symbol
    found = {
        name: {"long_name": long_name, "units": units} | ({"symbol": symbol} if symbol else {})
        for name, (long_name, units, symbol) in described.items()
    }
    return found | {MESSAGE: {"long_name": "why values of the point are missing; empty where none are"}}


def _attributes(base: Record, design: Design, measure: RateModelMeasure | SpikingModelMeasure) -> dict[str, Any]:
    """Attributes of the dataset: schema, model and provenance."""
    rate = isinstance(measure, RateModelMeasure)
    return {
        "Conventions": "CF-1.11",
        "title": "Tables distilled from simulations with varied parameters",
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "model": "rate" if rate else "biophysical",
        "engine": "scipy" if rate else "brian2",
        "design": json.dumps(design.describe()),
        "parameters": json.dumps(base.to_dict()),
        "distill_parameters": json.dumps(measure.distillation.parameters.to_dict()),
        "versions": json.dumps(versions("numpy", "scipy", "xarray")),
    }


def _influence(traces: xr.Dataset) -> Values:
    found = pairs(traces)
    coupling, influence = (fit_kernel(found.distance, strength) for strength in (found.coupling, found.influence))
    return {
        "coupling_scale_found": coupling.scale,
        "influence_scale": influence.scale,
        "influence_scale_error": influence.scale_error,
        "influence_amplitude": influence.amplitude,
        "influence_residual": influence.residual,
    }
