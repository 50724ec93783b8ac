"""What a sweep distils at each point, and the file that keeps it: how the tables move when the simulation does.

Every point gets retention factors, the rate of its increments, the decay of its influence and its exponent, as
`distil` would give them, but not the file of tables, whose making costs more than they do. The three parts stand alone:
where one cannot be had it is NaN, with the reason, and the others stay.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import rankdata

from astro_sim.runs.batch import simulate_batch
from astro_sim.sweep import Design, InProcess, Workers, run_sweep
from astro_sim.sweep.runner import MESSAGE, Outcome, attempt
from distill.coupling import fit_kernel
from distill.distillation import fit_exponent, fit_long_term
from distill.errors import TableError
from distill.law_fit import fit_laws_until_exact
from distill.parameters import DistillParameters
from distill.readings import pairs
from rmaat.base.errors import UsageError
from rmaat.base.files import atomic_file
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.provenance import versions
from rmaat.base.records import Record

Values = dict[str, Any]
"""What `xarray.Dataset` takes, by name."""

SCHEMA = "rmaat-sweep"
SCHEMA_VERSION = 1
POINTS_TOGETHER = 64
"""Points of the rate model in a batch: beyond, a batch takes longer to finish and hardly less time per point."""

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
"""What is distilled at each point: in words, its unit, its symbol."""


@dataclass(frozen=True)
class Distillation:
    """From traces to `QUANTITIES`; retention for total `lengths` T in segments.

    Raises
    ------
    UsageError
        A length is not positive.
    """

    lengths: tuple[int, ...] = (4, 8, 16)
    parameters: DistillParameters = field(default_factory=DistillParameters)

    def __post_init__(self) -> None:
        if not self.lengths or min(self.lengths) < 1:
            raise UsageError(f"lengths are {self.lengths}; give whole numbers of segments from 1")

    def __call__(self, traces: xr.Dataset) -> xr.Dataset:
        """The quantities; those of a part that fails are not there, and `message` says why."""
        found = [attempt(part, traces) for part in (self._retention, _influence, self._exponent)]
        reasons = [str(outcome) for outcome in found if isinstance(outcome, Exception)]
        values = {name: value for part in found if not isinstance(part, Exception) for name, value in part.items()}
        return xr.Dataset(values | {MESSAGE: "; ".join(reasons)})

    def _retention(self, traces: xr.Dataset) -> Values:
        longest = max(self.lengths)
        curve = fit_long_term(traces, self.parameters, longest, fit_laws_until_exact)
        increments, totals = curve.increments, curve.increments.cumsum()
        factors = np.full((len(self.lengths), longest), np.nan)
        for row, length in zip(factors, self.lengths, strict=True):
            row[:length] = increments[:length] / totals[length - 1]
        return {
            "length": ("length", list(self.lengths)),
            "segment": ("segment", np.arange(1, longest + 1)),
            "retention": (("length", "segment"), factors),
            "increment": ("segment", increments),
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
    """Simulates points of the rate model together, then distils each."""

    distillation: Distillation

    def __call__(self, points: Sequence[Any]) -> list[Outcome]:
        """The quantities at each point."""
        outcomes = simulate_batch(points)
        return [entry if isinstance(entry, Exception) else attempt(self.distillation, entry) for entry in outcomes]


@dataclass(frozen=True)
class SpikingModelMeasure:
    """Simulates points of the biophysical model one by one, each in a process of its own, and distils it."""

    distillation: Distillation

    def __call__(self, points: Sequence[Any]) -> list[Outcome]:
        """The quantities at each point."""
        return [attempt(self._measure, point) for point in points]

    def _measure(self, point: Any) -> xr.Dataset:
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
    """Retention, coupling and exponent at all points of `design` around `base`, as `astro_sim.sweep.run_sweep`.

    The result has `QUANTITIES` along `point`, the varied parameters with their units as coordinates, and as attributes
    the design, all other parameters and the versions; there is no time stamp, so that equal sweeps are equal files.
    """
    together = POINTS_TOGETHER if isinstance(measure, RateModelMeasure) else 1
    dataset = run_sweep(base, design, measure, folder, workers, batch_size=together, progress=progress)
    for name, (long_name, units, symbol) in QUANTITIES.items():
        if name in dataset:
            dataset[name].attrs = {"long_name": long_name, "units": units} | ({"symbol": symbol} if symbol else {})
    dataset[MESSAGE].attrs = {"long_name": "why values of the point are missing; empty where none are"}
    for path, _, quantity in base.parameters():
        if path[-1] in design.axes:
            symbol = {"symbol": quantity.symbol} if quantity.symbol else {}
            dataset[path[-1]].attrs = {"long_name": quantity.meaning, "units": quantity.unit} | symbol
    names = {"point": "number of the point", "length": "number of segments T", "segment": "segment t"}
    for name, long_name in names.items():
        if name in dataset.coords:
            dataset[name].attrs = {"long_name": long_name, "units": "1"}
    return dataset.assign_attrs(
        {
            "Conventions": "CF-1.11",
            "title": "Tables distilled from simulations with varied parameters",
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "model": "rate" if isinstance(measure, RateModelMeasure) else "biophysical",
            "engine": "scipy" if isinstance(measure, RateModelMeasure) else "brian2",
            "design": json.dumps(design.describe()),
            "parameters": json.dumps(base.to_dict()),
            "distill_parameters": json.dumps(measure.distillation.parameters.to_dict()),
            "versions": json.dumps(versions("numpy", "scipy", "xarray")),
        }
    )


def varied(dataset: xr.Dataset) -> list[str]:
    """Names of the parameters that vary, in the order of the design."""
    return list(json.loads(dataset.attrs["design"])["values"])


def summary(dataset: xr.Dataset) -> dict[str, NDArray[np.float64]]:
    """The values (point,) that sum a point up, by label; retention is that of the first segment of a middle length."""
    found = {}
    if "retention" in dataset:
        lengths = dataset["length"].values
        length = int(lengths[len(lengths) // 2])
        found[f"RF(1, {length})"] = dataset["retention"].sel(length=length, segment=1).values
    labels = {"increment_rate": "a", "influence_scale": "scale", "exponent": "alpha"}
    return found | {label: dataset[name].values for name, label in labels.items() if name in dataset}


def rank_correlations(dataset: xr.Dataset) -> dict[str, dict[str, float]]:
    """Partial rank correlation of each varied number with each of `summary`, over the points that have both.

    Of the ranks, what the other parameters explain linearly is taken away from both, and the rests are correlated
    (Marino, Hogue, Ray and Kirschner 2008, doi 10.1016/j.jtbi.2008.04.011). +1 or -1 where the quantity rises or falls
    with the parameter whatever the others are, 0 where it does not matter, or rises here and falls there; NaN where
    either never changes.
    """
    names = [name for name in varied(dataset) if dataset[name].dtype.kind in "fi"]
    parameters = np.array([dataset[name].values for name in names], dtype=float).reshape(len(names), -1)
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    for label, values in summary(dataset).items():
        sound = np.isfinite(values)
        ranks = rankdata(parameters[:, sound], axis=1)
        for place, name in enumerate(names):
            others = np.vstack([np.ones(ranks.shape[1]), np.delete(ranks, place, axis=0)]).T
            found[name][label] = _correlation(_rest(ranks[place], others), _rest(rankdata(values[sound]), others))
    return found


def write_sweep(dataset: xr.Dataset, path: Path) -> None:
    """Write `dataset` to `path` as NetCDF 4, whole or not at all; raises `rmaat.base.files.FileError`."""
    with atomic_file(path) as temporary:
        dataset.to_netcdf(temporary, engine="netcdf4", format="NETCDF4")


def read_sweep(path: Path) -> xr.Dataset:
    """Read and check a sweep's file; it is in memory and the file closed when this returns.

    Raises
    ------
    TableError
        The file is missing, is no NetCDF file, or holds something else than a sweep.
    """
    try:
        with xr.open_dataset(path, engine="netcdf4", decode_times=False) as opened:
            dataset = opened.load()
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise TableError(f"{path} cannot be read as a sweep ({reason}); make it with rmaat distill sweep") from error
    kind = dataset.attrs.get("schema"), dataset.attrs.get("schema_version")
    if kind != (SCHEMA, SCHEMA_VERSION):
        raise TableError(
            f"{path} has schema {kind[0]!r} version {kind[1]}, not {SCHEMA!r} version {SCHEMA_VERSION}; make it with "
            "rmaat distill sweep"
        )
    for name in (MESSAGE, *varied(dataset)):
        if name not in dataset.variables or dataset[name].dims != ("point",):
            raise TableError(f"{path} lacks {name} along point; make it again with rmaat distill sweep")
    return dataset


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


def _rest(values: NDArray, explained_by: NDArray) -> NDArray:
    """`values` (point,) without what is linear in the columns of `explained_by` (point, column)."""
    coefficients, *_ = np.linalg.lstsq(explained_by, values, rcond=None)
    return values - explained_by @ coefficients


def _correlation(first: NDArray, second: NDArray) -> float:
    # What is left of ranks after an exact fit is rounding.
    if len(first) < 3 or min(np.abs(first).max(), np.abs(second).max()) < 1e-6:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
