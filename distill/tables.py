"""The tables file: what the model takes from the simulated astrocytes. Its reader and writer.

A NetCDF-3 file, which any reader of the field opens and whose bytes depend on the content alone. `distill.schema` lists
every variable. The factors of all retention variants are in it without a table of all pairs, which at 4,096 segments
would take 134 MB for each variant:

| `retention_form` | variants | RF(t, T) |
| --- | --- | --- |
| separable | increment, area, streaming, saturation, constant, none | `retention_weight`(t) / `retention_total`(T) |
| slowed_law | horizon | the law, `law_*`, slowed so that `horizon_cycles` of its cycles take T |
| shuffled | random | the factors of increment for T, in the order that the first T of `random_order` tell |

Attributes carry the provenance: simulator parameters, engine, seed, versions, the SHA-256 of the traces and that of the
content, so that a change of the file is noticed. Files of schema version 1 are brought up when read
(`distill.upgrade`).
"""

import io
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import xarray as xr
from xarray.backends import ScipyDataStore

from distill.errors import TableError
from distill.schema import FORMS, SCHEMA, SCHEMA_VERSION, SEPARABLE, SLOWED, check, check_digest, law_of, sealed
from distill.streaming import StreamingRetention
from rmaat.base.arrays import Array
from rmaat.base.files import FileError, write_bytes
from rmaat.base.records import unknown_name

__all__ = ["SCHEMA", "SCHEMA_VERSION", "Tables", "default_tables", "read_tables", "write_tables"]


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
            check(self.dataset)
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

    def decay_kernel(self, tokens: int) -> Array:
        """The measured influence over distances of 0 to `tokens` - 1 tokens, (tokens,): r_ij at |i - j|.

        In place of exp(-decay_per_token |i - j|), of which it is what was measured: token n is at a distance of
        n * `token_spacing`, strengths between measured distances are interpolated on a logarithmic scale, and those
        beyond the last fall with the fitted scale. As there, it is 1 at distance 0: a unit is the fitted amplitude.
        """
        known = self.dataset["influence"].values > 0
        distance, strength = (self.dataset[name].values[known] for name in ("distance", "influence"))
        away = distance > 0
        amplitude, scale = (float(self.dataset[f"influence_{name}"]) for name in ("amplitude", "scale"))
        places = np.concatenate([[0.0], distance[away]])
        logarithms = np.concatenate([[0.0], np.log(strength[away] / amplitude)])
        wanted = np.arange(tokens) * float(self.dataset["token_spacing"])
        beyond = np.maximum(wanted - places[-1], 0)
        return np.exp(np.interp(wanted, places, logarithms) - scale * beyond)

    def retention(self, segments: int, variant: str = "increment") -> Array:
        """RF(t, T) for T = `segments`, shape (segments,).

        Raises
        ------
        TableError
            The tables end before T (the sentence gives the command that makes longer ones) or lack the variant.
        """
        self._check_request(segments, variant)
        if FORMS[variant] == SLOWED:
            return law_of(self.dataset).slowed_factors(float(self.dataset["horizon_cycles"]), segments)
        if FORMS[variant] == SEPARABLE:
            weight, total = self.retention_parts(segments, variant)
            return weight / total[-1]
        order = np.argsort(np.argsort(self.dataset["random_order"].values[:segments]))
        return self.retention(segments)[order]

    def retention_rows(self, segments: int, variant: str = "increment") -> Array:
        """RF(t, T) at [T - 1, t - 1] for all T up to `segments`, zero where t > T; raises as `retention`."""
        self._check_request(segments, variant)
        rows = np.zeros((segments, segments))
        for length in range(1, segments + 1):
            rows[length - 1, :length] = self.retention(length, variant)
        return rows

    def retention_parts(self, segments: int, variant: str = "increment") -> tuple[Array, Array]:
        """w(t) and W(T) for t and T up to `segments`, with RF(t, T) = w(t) / W(T).

        Raises
        ------
        TableError
            As `retention`, or the factors of the variant have no such parts, as those of horizon and random.
        """
        self._check_request(segments, variant)
        if FORMS[variant] != SEPARABLE:
            raise TableError(
                f"the retention factors of {variant} depend on T in another way than by a total; "
                "take them from retention or retention_rows"
            )
        row = self.variants.index(variant)
        weight, total = (self.dataset[name].values[row, :segments] for name in ("retention_weight", "retention_total"))
        return weight, total

    def remaining(self, segments: int, variant: str = "increment") -> Array:
        """What is left of each segment's writing in the memory that the last segment reads, shape (segments,).

        The product of the factors from then on, RF(t, T) RF(t + 1, T) ... RF(T - 1, T); 1 for the last segment, which
        has its own at hand.
        """
        factors = self.retention(segments, variant)[:-1]
        return np.append(np.cumprod(factors[::-1])[::-1], 1.0)

    def streaming(self) -> StreamingRetention:
        """The factors of the variant `streaming` one by one, beyond the tables' end too, in constant memory."""
        simulated = self.dataset["increment_simulated"].values == 1
        return StreamingRetention(self.dataset["increment"].values[simulated], law_of(self.dataset))

    def _check_request(self, segments: int, variant: str) -> None:
        if variant not in self.variants:
            raise TableError(unknown_name("retention variant", variant, self.variants))
        if not 1 <= segments <= self.longest:
            raise TableError(
                f"{self.origin}: made for 1 to {self.longest} segments, not {segments}; make longer tables with: "
                f"rmaat distill TRACES.nc --segments {segments} --out TABLES.nc"
            )


def write_tables(tables: Tables, path: Path) -> None:
    """Write `tables` to `path`, whole or not at all; raises `rmaat.base.files.FileError`."""
    write_bytes(path, _to_bytes(sealed(tables.dataset)))


def read_tables(path: Path) -> Tables:
    """Read and check a tables file, of this schema or an earlier version of it.

    Raises
    ------
    FileError
        The file cannot be read.
    TableError
        It is not a whole NetCDF file, does not follow the schema, or was changed since it was written.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error
    return _from_bytes(content, str(path))


def default_tables() -> Tables:
    """The tables of the shipped simulation with default parameters; they come with the package."""
    return _from_bytes(resources.files("distill").joinpath("default_tables.nc").read_bytes(), "the default tables")


def _to_bytes(dataset: xr.Dataset) -> bytes:
    """As `Dataset.to_netcdf`, which would first load Dask, where it is installed, to ask it about locks."""
    content = io.BytesIO()
    store = ScipyDataStore(content, mode="w", format="NETCDF3_64BIT", lock=False)
    dataset.dump_to_store(store)
    store.sync()
    return content.getvalue()


def _from_bytes(content: bytes, origin: str) -> Tables:
    try:
        with xr.open_dataset(io.BytesIO(content), engine="scipy", decode_times=False) as dataset:
            dataset = dataset.load()
    except Exception as error:  # the reader raises whatever its parser met
        raise TableError(f"{origin} is not a whole tables file; make it again with: rmaat distill") from error
    try:
        current = _brought_up(dataset)
        check(current)
        if current is dataset:
            check_digest(dataset)
    except TableError as error:
        raise TableError(f"{origin}: {error}") from None
    return Tables(current, origin)


def _brought_up(dataset: xr.Dataset) -> xr.Dataset:
    if dataset.attrs.get("schema") == SCHEMA and dataset.attrs.get("schema_version") == 1:
        # Seldom wanted, and it loads SciPy.
        from distill.upgrade import from_version_1

        return from_version_1(dataset)
    return dataset
