"""The tables file: what the model takes from the simulated astrocytes. Its one schema, reader and writer.

A NetCDF-3 file, which any reader of the field opens and whose bytes depend on the content alone.

| variable | dimensions | meaning |
| --- | --- | --- |
| `retention_weight` | variant, segment | w(t) of the retention factor RF(t, T) = w(t) / W(T), for t <= T |
| `retention_total` | variant, length | W(T) |
| `increment` | segment | growth of the mean long-term process in each cycle |
| `increment_simulated` | segment | 1 where simulated, 0 where continued by the fitted law |
| `coupling`, `influence` | distance | mean strength put in, and measured, at each distance |
| `coupling_scale`, `influence_scale` | | decay of both, per synapse spacing, with standard errors |
| `exponent` | | presynaptic exponent alpha, with its standard error and range |

Attributes carry the provenance: simulator parameters, engine, seed, versions and the SHA-256 of the traces.
"""

import io
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from distill.errors import TableError
from rmaat.files import FileError, write_bytes
from rmaat.records import unknown_name

SCHEMA = "rmaat-tables"
SCHEMA_VERSION = 1
DIMENSIONS = {
    "retention_weight": ("variant", "segment"),
    "retention_total": ("variant", "length"),
    "increment": ("segment",),
    "increment_simulated": ("segment",),
    "increment_rate": (),
    "increment_rate_error": (),
    "increment_residual": (),
    "distance": ("distance",),
    "coupling": ("distance",),
    "coupling_scale": (),
    "influence": ("distance",),
    "influence_amplitude": (),
    "influence_scale": (),
    "influence_scale_error": (),
    "influence_residual": (),
    "token_spacing": (),
    "exponent": (),
    "exponent_error": (),
    "exponent_residual": (),
    "exponent_range": ("bound",),
}
"""Every variable of numbers that a tables file must have, with its axes in order."""
PROVENANCE = (
    "parameters", "distill_parameters", "engine", "solver", "seed", "versions", "distill_versions", "traces_sha256"
)  # fmt: skip
NORMALISED = ("increment", "constant")


@dataclass(frozen=True)
class Tables:
    """A checked tables file in memory.

    Raises
    ------
    TableError
        Made from a dataset that does not follow the schema; the sentence says where.
    """

    dataset: xr.Dataset
    origin: str = "tables in memory"

    def __post_init__(self) -> None:
        try:
            _check(self.dataset)
        except TableError as error:
            raise TableError(f"{self.origin}: {error}") from None

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the retention variants."""
        return tuple(str(name) for name in self.dataset["variant"].values)

    @property
    def longest(self) -> int:
        """The most segments T that the tables serve."""
        return self.dataset.sizes["length"]

    @property
    def exponent(self) -> float:
        """The presynaptic exponent alpha, dimensionless."""
        return float(self.dataset["exponent"])

    @property
    def decay_per_token(self) -> float:
        """Decay of the relative position matrix per token: measured scale times token spacing."""
        return float(self.dataset["influence_scale"]) * float(self.dataset["token_spacing"])

    def retention(self, segments: int, variant: str = "increment") -> NDArray[np.float64]:
        """RF(t, T) for T = `segments`, shape (segments,).

        Raises
        ------
        TableError
            The tables end before T (the sentence gives the command that makes longer ones) or lack the variant.
        """
        weight, total = self.retention_parts(segments, variant)
        return weight / total[-1]

    def retention_rows(self, segments: int, variant: str = "increment") -> NDArray[np.float64]:
        """RF(t, T) at [T - 1, t - 1] for all T up to `segments`, zero where t > T; raises as `retention`."""
        weight, total = self.retention_parts(segments, variant)
        return np.tril(weight / total[:, None])

    def retention_parts(
        self, segments: int, variant: str = "increment"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """w(t) and W(T) for t and T up to `segments`, with RF(t, T) = w(t) / W(T); raises as `retention`."""
        if variant not in self.variants:
            raise TableError(unknown_name("retention variant", variant, self.variants))
        if not 1 <= segments <= self.longest:
            raise TableError(
                f"{self.origin}: made for 1 to {self.longest} segments, not {segments}; make longer tables with: "
                f"rmaat distill TRACES.nc --segments {segments} --out TABLES.nc"
            )
        row = self.variants.index(variant)
        weight, total = (self.dataset[name].values[row, :segments] for name in ("retention_weight", "retention_total"))
        return weight, total


def write_tables(tables: Tables, path: Path) -> None:
    """Write `tables` to `path`, whole or not at all; raises `rmaat.files.FileError`."""
    write_bytes(path, bytes(tables.dataset.to_netcdf(engine="scipy", format="NETCDF3_64BIT")))


def read_tables(path: Path) -> Tables:
    """Read and check a tables file.

    Raises
    ------
    FileError
        The file cannot be read.
    TableError
        It is not a whole NetCDF file, or does not follow the schema.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error
    return _from_bytes(content, str(path))


def default_tables() -> Tables:
    """The tables of the shipped simulation with default parameters; they come with the package."""
    return _from_bytes(resources.files("distill").joinpath("default_tables.nc").read_bytes(), "the default tables")


def _from_bytes(content: bytes, origin: str) -> Tables:
    try:
        with xr.open_dataset(io.BytesIO(content), engine="scipy", decode_times=False) as dataset:
            dataset = dataset.load()
    except Exception as error:  # the reader raises whatever its parser met
        raise TableError(f"{origin} is not a whole tables file; make it again with: rmaat distill") from error
    return Tables(dataset, origin)


def _check(dataset: xr.Dataset) -> None:
    found = (dataset.attrs.get("schema"), dataset.attrs.get("schema_version"))
    if found != (SCHEMA, SCHEMA_VERSION):
        raise TableError(
            f"schema {found[0]} version {found[1]} found, {SCHEMA} version {SCHEMA_VERSION} wanted; "
            "make the tables again with: rmaat distill"
        )
    for name in PROVENANCE:
        if name not in dataset.attrs:
            raise TableError(f"the attribute {name} is missing")
    for name in ("variant", *DIMENSIONS):
        if name not in dataset.variables:
            raise TableError(f"the variable {name} is missing")
    for name, dimensions in DIMENSIONS.items():
        if dataset[name].dims != dimensions:
            raise TableError(f"{name} has the dimensions {dataset[name].dims}, not {dimensions}")
        if dataset[name].dtype.kind not in "iuf":
            raise TableError(f"{name} holds {dataset[name].dtype} values, not numbers")
        if not np.isfinite(dataset[name].values).all():
            raise TableError(f"{name} holds a value that is not finite")
    if not 0 < float(dataset["exponent"]) <= 1:
        raise TableError(f"the exponent is {float(dataset['exponent']):g}; it must lie above 0 and at most at 1")
    if float(dataset["influence_scale"]) <= 0 or float(dataset["token_spacing"]) <= 0:
        raise TableError("influence_scale and token_spacing must be above 0")
    if dataset.sizes["length"] != dataset.sizes["segment"]:
        raise TableError(f"there are {dataset.sizes['length']} lengths but {dataset.sizes['segment']} segments")
    parts = (dataset[name].values for name in ("variant", "retention_weight", "retention_total"))
    for variant, weight, total in zip(*parts, strict=True):
        _check_retention(str(variant), weight, total)


def _check_retention(variant: str, weight: NDArray[np.float64], total: NDArray[np.float64]) -> None:
    where = f"the retention factors of {variant}"
    # A weight of 0 is what becomes of one too small for a float, from about segment 1500 at a = 0.5.
    if (weight < 0).any() or (total <= 0).any() or (np.maximum.accumulate(weight) > total * (1 + 1e-12)).any():
        raise TableError(f"{where} must lie between 0 and 1")
    if variant in NORMALISED and not np.allclose(weight.cumsum(), total, rtol=1e-9, atol=0):
        raise TableError(f"{where} do not sum to 1 over the segments")
    if (np.diff(weight) > 1e-12 * weight[:-1]).any():
        raise TableError(f"{where} increase from one segment to the next")
