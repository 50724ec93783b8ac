"""The tables file, its reader and its writer: all numbers that the model takes from the simulated astrocytes.

The format is NetCDF-3, which any reader of the field opens; equal content gives equal bytes. `distill.schema` lists
every variable. The file stores the factors of each retention variant without a table of all pairs, which at 4,096
segments would take 134 MB per variant:

| `retention_form` | variants | RF(t, T) |
| --- | --- | --- |
| separable | all others | `retention_weight`(t) / `retention_total`(T) |
| slowed_law | horizon | the law, `law_*`, slowed so that `horizon_cycles` of its cycles take T |
| shuffled | random | the factors of increment for T, in the order of the first T of `random_order` |

Attributes hold the provenance: simulator parameters, engine, seed, versions, the SHA-256 of the traces, and the SHA-256
of the content, which reveals any later change of the file.
"""

import io
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import xarray as xr
from xarray.backends import ScipyDataStore

from distill.checks import check, check_digest, sealed
from distill.errors import TableError
from distill.retention import (
    StreamingRetention,
    geometric_factors,
    remaining_shares,
    separable_factors,
    shuffled_factors,
    slowed_factors,
)
from distill.schema import (
    FORMS,
    LEARNED,
    OPTIONAL_VARIANTS,
    PARTS,
    SCHEMA,
    SCHEMA_VERSION,
    SEPARABLE,
    SLOWED,
    continuation_of,
    law_of,
    left_out,
)
from rmaat.base.arrays import Array
from rmaat.base.files import read_bytes, write_bytes
from rmaat.base.records import unknown_name

HDF5 = b"\x89HDF"
"""How files of NetCDF-4 begin, such as traces."""

__all__ = ["SCHEMA", "SCHEMA_VERSION", "Tables", "default_tables", "read_tables", "write_tables"]


@dataclass(frozen=True)
class Tables:
    """A checked tables file in memory; read by the model, the figures and the summary.

    Raises
    ------
    TableError
        `dataset` does not follow the schema; the sentence names the variable.
    """

    dataset: xr.Dataset
    origin: str = "tables in memory"

    def __post_init__(self) -> None:
        try:
            check(self.dataset)
        except TableError as error:
            raise TableError(f"{self.origin}: {error}") from None

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the retention variants."""
        return tuple(str(name) for name in self.dataset["variant"].values)

    @property
    def longest(self) -> int:
        """The largest number of segments T that the tables serve."""
        return self.dataset.sizes["length"]

    @property
    def left_out(self) -> dict[str, str]:
        """Why each part or variant that the tables lack is missing, by its name."""
        return left_out(self.dataset)

    def require(self, part: str) -> None:
        """Raise `TableError`, with the reason, if the tables lack `part`, one of `distill.schema.PARTS`."""
        if not {*PARTS[part]} <= {*self.dataset.variables}:
            reason = self.left_out.get(part, "the file is older; make it again with: rmaat distill")
            raise TableError(f"{self.origin}: the {part.replace('_', ' ')} is left out: {reason}")

    @property
    def exponent(self) -> float:
        """The presynaptic exponent alpha, dimensionless; raises as `require`."""
        self.require("exponent")
        return float(self.dataset["exponent"])

    @property
    def increment_rate(self) -> float:
        """The rate a of the geometric law, per cycle."""
        return float(self.dataset["increment_rate"])

    @property
    def decay_per_token(self) -> float:
        """Decay of the relative position matrix per token: the scale measured at rest times the token spacing.

        Raises as `require`.
        """
        self.require("influence")
        return float(self.dataset["influence_scale"]) * float(self.dataset["token_spacing"])

    def decay_kernel(self, tokens: int) -> Array:
        """The measured influence at distances of 0 to `tokens` - 1 tokens, (tokens,), 1 at distance 0: r_ij at |i - j|.

        This is the measured kernel; exp(-decay_per_token |i - j|) approximates it. Token n has the distance
        n * `token_spacing`. Strengths between measured distances are interpolated in the logarithm, and those beyond
        the last distance fall with the fitted scale. Dividing by the fitted amplitude gives 1 at distance 0. Raises as
        `require`.
        """
        self.require("influence")
        # A strength of 0 has no logarithm.
        positive = self.dataset["influence"].values > 0
        distance, strength = (self.dataset[name].values[positive] for name in ("distance", "influence"))
        apart = distance > 0
        amplitude, scale = (float(self.dataset[f"influence_{name}"]) for name in ("amplitude", "scale"))
        # No two synapses have distance 0; the fitted amplitude takes the place of a measurement.
        places = np.concatenate([[0.0], distance[apart]])
        logarithms = np.concatenate([[0.0], np.log(strength[apart] / amplitude)])
        wanted = np.arange(tokens) * float(self.dataset["token_spacing"])
        beyond = np.maximum(wanted - places[-1], 0)
        return np.exp(np.interp(wanted, places, logarithms) - scale * beyond)

    def fitted_influence(self, distance: Array) -> Array:
        """The exponential fitted to the influence at `distance`, in synapse spacings; of the shape of `distance`.

        Raises as `require`.
        """
        self.require("influence")
        amplitude, scale = (float(self.dataset[f"influence_{name}"]) for name in ("amplitude", "scale"))
        return amplitude * np.exp(-scale * distance)

    def geometric_curve(self) -> tuple[Array, float]:
        """The geometric law at the ends of the simulated cycles, (cycle,), and its end S.

        The tables store the law's rate a; least squares gives S, because the curve is linear in it.
        """
        growth = self.dataset["long_term_curve"].values
        shape = -np.expm1(-self.increment_rate * np.arange(1, len(growth) + 1))
        end = float(shape @ growth / (shape @ shape))
        return end * shape, end

    def geometric_retention(self, segment: Array, segments: int) -> Array:
        """RF(t, T) of the geometric law alone at t = `segment`, of its shape, for T = `segments`."""
        return geometric_factors(segment, segments, self.increment_rate)

    def retention(self, segments: int, variant: str = "increment") -> Array:
        """RF(t, T) for T = `segments`, (segment,).

        Raises
        ------
        TableError
            The tables end before T (the sentence gives the command that makes longer ones) or lack the variant.
        """
        self._check_request(segments, variant)
        if FORMS[variant] == SLOWED:
            return slowed_factors(law_of(self.dataset), float(self.dataset["horizon_cycles"]), segments)
        if FORMS[variant] == SEPARABLE:
            return separable_factors(*self.retention_parts(segments, variant))
        return shuffled_factors(self.retention(segments), self.dataset["random_order"].values[:segments])

    def retention_rows(self, segments: int, variant: str = "increment") -> Array:
        """RF(t, T) at [T - 1, t - 1] for all T up to `segments`, zero where t > T; raises as `retention`."""
        self._check_request(segments, variant)
        rows = np.zeros((segments, segments))
        # One length at a time, because horizon and random have other factors for each T.
        for length in range(1, segments + 1):
            rows[length - 1, :length] = self.retention(length, variant)
        return rows

    def retention_parts(self, segments: int, variant: str = "increment") -> tuple[Array, Array]:
        """w(t) and W(T) for t and T up to `segments`, (segment,) each, with RF(t, T) = w(t) / W(T).

        Raises
        ------
        TableError
            As `retention`, or the variant has no such parts, as horizon and random.
        """
        self._check_request(segments, variant)
        if FORMS[variant] != SEPARABLE:
            raise TableError(
                f"the retention factors of {variant} are no quotients of a weight w(t) and a total W(T); "
                "take them from retention or retention_rows"
            )
        row = self.variants.index(variant)
        weight, total = (self.dataset[name].values[row, :segments] for name in ("retention_weight", "retention_total"))
        return weight, total

    def remaining(self, segments: int, variant: str = "increment") -> Array:
        """The share of each segment's writing in the memory that segment T = `segments` reads, (segment,).

        Raises as `retention`; `distill.retention.remaining_shares` gives the formula.
        """
        return remaining_shares(self.retention(segments, variant))

    def streaming(self) -> StreamingRetention:
        """The factors of the variant streaming one by one, without an end, in constant memory."""
        simulated = self.dataset["increment_simulated"].values == 1
        return StreamingRetention(self.dataset["increment"].values[simulated], continuation_of(self.dataset))

    def _check_request(self, segments: int, variant: str) -> None:
        if variant in OPTIONAL_VARIANTS and variant not in self.variants:
            older = "the file is older; make it again with: rmaat distill"
            hint = "train with --retention learned, which writes it" if variant == LEARNED else older
            reason = self.left_out.get(variant, hint)
            raise TableError(f"{self.origin}: the variant {variant} is left out: {reason}")
        if variant not in self.variants:
            raise TableError(unknown_name("retention variant", variant, self.variants))
        if not 1 <= segments <= self.longest:
            raise TableError(
                f"{self.origin}: made for 1 to {self.longest} segments, not {segments}; make longer tables with: "
                f"rmaat distill TRACES.nc --segments {segments} --out TABLES.nc"
            )


def write_tables(tables: Tables, path: str | Path) -> None:
    """Write `tables` to `path`, completely or not at all; raises `rmaat.base.files.FileError`."""
    write_bytes(Path(path), _to_bytes(sealed(tables.dataset)))


def read_tables(path: str | Path) -> Tables:
    """Read and check a tables file.

    Raises
    ------
    FileError
        The file cannot be read.
    TableError
        It is not a complete NetCDF-3 file, has another schema or version, or was changed after it was written.
    """
    return _from_bytes(read_bytes(Path(path)), str(path))


def default_tables() -> Tables:
    """The tables of the default simulation, which come with the package."""
    return _from_bytes(resources.files("distill").joinpath("default_tables.nc").read_bytes(), "the default tables")


def _to_bytes(dataset: xr.Dataset) -> bytes:
    # Dataset.to_netcdf would import Dask, if installed, to ask for locks; the store alone does not.
    content = io.BytesIO()
    store = ScipyDataStore(content, mode="w", format="NETCDF3_64BIT", lock=False)
    dataset.dump_to_store(store)
    store.sync()
    return content.getvalue()


def _from_bytes(content: bytes, origin: str) -> Tables:
    if content.startswith(HDF5):
        raise TableError(f"{origin} is not a tables file; if it holds traces, give what rmaat distill {origin} writes")
    try:
        with xr.open_dataset(io.BytesIO(content), engine="scipy", decode_times=False) as dataset:
            # Into memory: the file is closed at the end of the block.
            dataset = dataset.load()
    except Exception as error:  # SciPy's parser raises many types on damaged bytes
        raise TableError(f"{origin} is not a complete tables file; make it again with: rmaat distill") from error
    tables = Tables(dataset, origin)
    try:
        check_digest(dataset)
    except TableError as error:
        raise TableError(f"{origin}: {error}") from None
    return tables
