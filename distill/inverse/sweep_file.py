"""The file of a sweep: its writer and its reader, and the summary of each point.

`distill.inverse.sweep` makes the dataset. Nothing here simulates or distils.
"""

import json
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import rankdata

from astro_sim.runs.schema import DIGEST
from astro_sim.runs.traces import DAMAGED, refused_writes
from astro_sim.sweep.runner import MESSAGE
from distill.errors import TableError
from rmaat.base.files import atomic_file
from rmaat.base.provenance import content_digest
from rmaat.base.seals import is_sealed, seal

SCHEMA = "rmaat-sweep"
SCHEMA_VERSION = 1


def write_sweep(dataset: xr.Dataset, path: str | Path) -> None:
    """Write `dataset` to `path` as NetCDF-4, completely or not at all; raises `rmaat.base.files.FileError`."""
    sealed = dataset.assign_attrs({DIGEST: content_digest(dataset)})
    with atomic_file(Path(path)) as temporary, refused_writes():
        # Characters: the NetCDF library crashes if it opens a file with texts of variable length twice.
        texts = {name: {"dtype": "S1"} for name, variable in sealed.variables.items() if variable.dtype.kind in "OU"}
        sealed.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=texts)
        seal(temporary)


def read_sweep(path: str | Path) -> xr.Dataset:
    """Read and check the file of a sweep; the dataset is in memory and the file is closed.

    Raises
    ------
    TableError
        The file is missing, is not NetCDF, or does not hold a sweep.
    """
    path = Path(path)
    try:
        is_checked = path.is_file() and is_sealed(path)
        with xr.open_dataset(path, engine="netcdf4", decode_times=False) as opened:
            dataset = opened.load()
            stored = dataset.attrs.pop(DIGEST, None)
            # Sweeps of before the digest was added lack it.
            changed = not is_checked and stored not in (None, content_digest(dataset))
    except DAMAGED as error:
        reason = " ".join(str(error).split())
        raise TableError(f"{path} cannot be read as a sweep ({reason}); make it with rmaat distill sweep") from error
    if changed:
        raise TableError(f"{path} was changed after it was written (another SHA-256); make it with rmaat distill sweep")
    kind = dataset.attrs.get("schema"), dataset.attrs.get("schema_version")
    if kind != (SCHEMA, SCHEMA_VERSION):
        raise TableError(
            f"{path} has schema {kind[0]!r} version {kind[1]}, not {SCHEMA!r} version {SCHEMA_VERSION}; make it with "
            "rmaat distill sweep"
        )
    _check_design(path, dataset)
    for name in (MESSAGE, *varied(dataset)):
        if name not in dataset.variables or dataset[name].dims != ("point",):
            raise TableError(f"{path} lacks {name} along point; make it again with rmaat distill sweep")
    return dataset


def _check_design(path: str | Path, dataset: xr.Dataset) -> None:
    try:
        names = varied(dataset)
    except (KeyError, TypeError, ValueError, RecursionError):
        names = []
    if not names or not all(isinstance(name, str) for name in names):
        raise TableError(f"{path} does not say which parameters vary; make it again with rmaat distill sweep")


def varied(dataset: xr.Dataset) -> list[str]:
    """Names of the parameters that vary, in the order of the design."""
    return list(json.loads(dataset.attrs["design"])["values"])


def summary(dataset: xr.Dataset) -> dict[str, NDArray[np.float64]]:
    """Up to four values of each point, (point,), by label; the retention factor is RF(1, T) of the middle length T."""
    found = {}
    if "retention" in dataset:
        lengths = dataset["length"].values
        length = int(lengths[len(lengths) // 2])
        found[f"RF(1, {length})"] = dataset["retention"].sel(length=length, segment=1).values
    labels = {"increment_rate": "a", "influence_scale": "scale", "exponent": "alpha"}
    return found | {label: dataset[name].values for name, label in labels.items() if name in dataset}


def varies(values: NDArray[np.float64]) -> bool:
    """Whether finite `values` (point,) differ by more than rounding: by 1e-9 of the largest."""
    finite = values[np.isfinite(values)]
    return finite.size > 0 and bool(np.ptp(finite) > 1e-9 * np.abs(finite).max())


def rank_correlations(dataset: xr.Dataset) -> dict[str, dict[str, float]]:
    """Partial rank correlation of each varied number with each of `summary`, over the points that have both.

    Ranks are regressed on the ranks of the other parameters, and the residuals are correlated (Marino, Hogue, Ray and
    Kirschner 2008, doi 10.1016/j.jtbi.2008.04.011). +1 or -1 means that the quantity always rises or falls with the
    parameter. 0 means no effect, or a rise here and a fall there. NaN means that one of them never changes, or by
    rounding only.
    """
    names = [name for name in varied(dataset) if dataset[name].dtype.kind in "fi"]
    parameters = np.array([dataset[name].values for name in names], dtype=float).reshape(len(names), -1)
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    for label, values in summary(dataset).items():
        if not varies(values):
            for name in names:
                found[name][label] = float("nan")
            continue
        sound = np.isfinite(values)
        # Ranks among the sound points alone: a failed point must not take a rank.
        ranks = rankdata(parameters[:, sound], axis=1)
        for place, name in enumerate(names):
            others = np.vstack([np.ones(ranks.shape[1]), np.delete(ranks, place, axis=0)]).T
            residuals = (_residuals(each, others) for each in (ranks[place], rankdata(values[sound])))
            found[name][label] = _correlation(*residuals)
    return found


def _residuals(values: NDArray, regressors: NDArray) -> NDArray:
    """Residuals (point,) of a linear regression of `values` (point,) on the columns of `regressors` (point, column)."""
    coefficients, *_ = np.linalg.lstsq(regressors, values, rcond=None)
    return values - regressors @ coefficients


def _correlation(first: NDArray, second: NDArray) -> float:
    # Residuals of ranks that the others explain exactly are rounding.
    if len(first) < 3 or min(np.abs(first).max(), np.abs(second).max()) < 1e-6:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
