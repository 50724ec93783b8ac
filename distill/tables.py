"""The tables file: what the model takes from the simulated astrocytes. Its one schema, reader and writer.

A NetCDF-3 file, which any reader of the field opens and whose bytes depend on the content alone.

| variable | dimensions | meaning |
| --- | --- | --- |
| `retention` | variant, length, segment | RF(t, T) for T = length, t = segment; zero where t > T |
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
    "retention": ("variant", "length", "segment"),
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
PROVENANCE = ("parameters", "distill_parameters", "engine", "solver", "seed", "versions", "traces_sha256")
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
        """RF(t, T) for T = `segments`, shape (segments,); raises `TableError` where the tables lack it."""
        return self.retention_rows(segments, variant)[-1]

    def retention_rows(self, segments: int, variant: str = "increment") -> NDArray[np.float64]:
        """RF(t, T) at [T - 1, t - 1] for all T up to `segments`, zero where t > T.

        Raises
        ------
        TableError
            The tables end before T (the sentence gives the command that makes longer ones) or lack the variant.
        """
        if variant not in self.variants:
            raise TableError(unknown_name("retention variant", variant, self.variants))
        if not 1 <= segments <= self.longest:
            raise TableError(
                f"{self.origin} serves 1 to {self.longest} segments, not {segments}; make longer tables with: "
                f"rmaat distill TRACES.nc --segments {segments} --out TABLES.nc"
            )
        rows = self.dataset["retention"].values[self.variants.index(variant)]
        return np.array(rows[:segments, :segments])


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
    for variant, rows in zip(dataset["variant"].values, dataset["retention"].values, strict=True):
        _check_retention(str(variant), rows)


def _check_retention(variant: str, rows: NDArray[np.float64]) -> None:
    where = f"the retention factors of {variant}"
    if rows.shape[0] != rows.shape[1]:
        raise TableError(f"{where} have {rows.shape[0]} lengths but {rows.shape[1]} segments")
    used = np.tri(len(rows), dtype=bool)
    if rows[~used].any():
        raise TableError(f"{where} are not zero beyond the last segment")
    # 0 is what becomes of a factor too small for a float, from about segment 1500 at a = 0.5.
    if (rows[used] < 0).any() or (rows[used] > 1 + 1e-12).any():
        raise TableError(f"{where} must lie between 0 and 1")
    if variant in NORMALISED and not np.allclose(rows.sum(axis=1), 1, rtol=0, atol=1e-9):
        raise TableError(f"{where} do not sum to 1 over the segments")
    rising = np.diff(rows, axis=1) > 1e-12
    if (rising & used[:, 1:]).any():
        raise TableError(f"{where} increase from one segment to the next")
