"""Draw all files that a folder holds."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import netCDF4
import xarray as xr
from matplotlib.figure import Figure

from astro_sim.runs.schema import SCHEMA as TRACES
from astro_sim.runs.traces import open_traces
from distill import Tables, read_tables
from distill.inverse.sweep_file import SCHEMA as SWEEP
from distill.inverse.sweep_file import read_sweep
from distill.tables import SCHEMA as TABLES
from figures import laws, layouts, linear_response
from figures.coupling import draw_coupling
from figures.dynamics import draw_dynamics
from figures.errors import FigureError
from figures.form import FigureForm
from figures.retention import draw_retention
from figures.save import save_figure
from figures.sensitivity import draw_sensitivity
from figures.training import draw_training
from figures.variants import draw_variants
from model.training.run_folder import RunFolder


def draw_all(runs: str | Path, out: str | Path, form: FigureForm | None = None) -> list[Path]:
    """Draw the traces, tables, sweeps and run folders in `runs`, at any depth, into `out`; return the files written.

    Each figure is written as PNG and as SVG, or as `form` says:

    | source | figures |
    | --- | --- |
    | traces `sim.nc` | `sim-dynamics` |
    | tables `sim.nc` | `sim-retention`, `sim-variants`, and `sim-coupling` if the tables have it |
    | sweep `sim.nc` | `sim-sensitivity` |
    | run folder `listops` | `listops-training`; `training` if it is `runs` itself |
    | tables of two to seven runs in one folder | `laws` |
    | traces of one folder that differ from the first in the layout alone (line, random, equal) | `layouts` |
    | tables that differ in coupling_strength alone | `sim-linear-response`, named after the first of them |

    Sources in a subfolder of `runs` go to the same subfolder of `out`, so that no two figures share a name. Hidden
    files and folders, `out` itself, other NetCDF files and the copy of the tables in a run folder are skipped.

    Raises
    ------
    FigureError
        There is nothing to draw, the font of `form` is not installed, or `metrics.csv` of a run has no rows.
    SimulationError, TableError, ModelError, FileError
        Traces, tables, a sweep or a run folder cannot be read, or a figure cannot be written. All figures are drawn
        before the first is written.
    """
    runs, out = Path(runs), Path(out)
    figures = figures_in(runs, out)
    if not figures:
        raise FigureError(
            f"{runs} holds no traces, tables or run folder to draw; make some with: "
            f"rmaat simulate --out {runs / 'sim.nc'}"
        )
    return [path for stem, figure in figures.items() for path in save_figure(figure, out / stem, form)]


def figures_in(runs: Path, out: Path) -> dict[Path, Figure]:
    """The figures of `draw_all`, not yet written, by the stem of their files relative to `out`; raises as it does."""
    return {stem: figure for folder in folders(runs, out) for stem, figure in _drawn(folder, runs)}


def folders(runs: Path, out: Path) -> Iterator[Path]:
    """`runs` and every folder below it, without hidden ones and `out`."""
    for path, below, _ in os.walk(runs):
        folder = Path(path)
        yield folder
        # os.walk descends into what is left in this list.
        below[:] = sorted(
            name for name in below if not name.startswith(".") and (folder / name).resolve() != out.resolve()
        )


def _drawn(folder: Path, runs: Path) -> Iterator[tuple[Path, Figure]]:
    """Figures of the sources in one folder, each with the stem of its files relative to `out`."""
    run, place = RunFolder(folder), folder.relative_to(runs)
    is_run = run.configuration.is_file()
    tables: dict[str, Tables] = {}
    responses: dict[str, xr.Dataset | None] = {}
    for path, schema in datasets(folder):
        if schema == TRACES:
            # Draw while the file is open, because it may be larger than memory.
            with open_traces(path) as traces:
                figure = draw_dynamics(traces)
                responses[path.stem] = layouts.response_of(traces)
            yield place / f"{path.stem}-dynamics", figure
        elif schema == TABLES:
            tables[path.stem] = read_tables(path)
        elif schema == SWEEP:
            yield place / f"{path.stem}-sensitivity", draw_sensitivity(read_sweep(path))
    # After the loop, because some figures compare all tables of the folder.
    for name, figure in _drawn_tables(tables):
        yield place / name, figure
    if compared := layouts.comparable(responses):
        yield place / "layouts", layouts.draw_layouts(compared)
    if is_run and run.metrics.is_file():
        yield place.with_name(f"{place.name}-training") if place.name else Path("training"), _drawn_run(run)


def _drawn_tables(tables: Mapping[str, Tables]) -> Iterator[tuple[str, Figure]]:
    """Figures of each of the tables in one folder, and of those that can be compared."""
    for stem, each in tables.items():
        yield f"{stem}-retention", draw_retention(each)
        yield f"{stem}-variants", draw_variants(each)
        if not {"coupling", "influence"} & {*each.left_out}:
            yield f"{stem}-coupling", draw_coupling(each)
    for stem, group in linear_response.comparable(tables).items():
        yield f"{stem}-linear-response", linear_response.draw_linear_response(group)
    if models := laws.comparable(tables):
        yield "laws", laws.draw_laws(models)


def datasets(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """The NetCDF files of one folder with their schemas, without hidden ones and the copy of the tables in a run."""
    run = RunFolder(folder)
    for path in sorted(folder.glob("*.nc")):
        copy = path == run.tables and run.configuration.is_file()
        if path.is_file() and not path.name.startswith(".") and not copy:
            yield path, _schema(path)


def _schema(path: Path) -> str | None:
    """The schema of a NetCDF file; a damaged file gets that of its format, so that its reader raises the error."""
    with suppress(OSError, RuntimeError, ValueError), netCDF4.Dataset(path) as file:
        # netCDF4 reads a truncated NetCDF-3 header as an empty file.
        if file.ncattrs() or file.variables or file.groups:
            return getattr(file, "schema", None)
    # A damaged classic file goes to the reader of tables, any other to the reader of traces.
    with suppress(OSError), path.open("rb") as stream:
        if stream.read(3) == b"CDF":
            return TABLES
    return TRACES


def _drawn_run(run: RunFolder) -> Figure:
    configuration, metrics = run.read_configuration(), run.read_metrics()
    evaluation = run.read_evaluation() if run.evaluation.exists() else None
    title = f"Training of {configuration.model.architecture} on {configuration.task}"
    return draw_training(metrics, evaluation, title)
