"""Astrocytes whose tables a study compares: simulations that differ in one parameter, and other models.

One design of `astro_sim.sweep` for each parameter gives the points around the default set. The others change several
parameters at once: no restarts, feedback, a soft bound, the preset `biological`, the biophysical model.

`drawn` has one astrocyte only, whose tables are uncertain: draws of the bootstrap over trials of the biophysical model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr

from astro_sim import load_preset, simulate
from astro_sim.runs.schema import TRIAL
from astro_sim.sweep import GridDesign, Listed
from distill.distillation import distil
from distill.parameters import DistillParameters
from distill.tables import Tables, read_tables, write_tables
from rmaat.base.errors import RmaatError
from rmaat.base.progress import Progress, ignore_progress, part_of

SEGMENTS = 16
"""Segments that the tables of an astrocyte serve."""
NEEDED = ("influence", "exponent")
"""Parts of the tables that a model takes besides retention."""

VARIED: Mapping[str, tuple[str, tuple[float, ...]]] = {
    "long_term_time_constant": ("long-term time constant {:g} s", (25.0, 400.0)),
    "cycle_duration": ("cycles of {:g} s", (100.0,)),
    "coupling_scale": ("coupling scale {:g}", (0.25, 4.0)),
}
"""Parameters that vary one at a time around the default set: the words of a point, and the values."""
TRIALS, DRAWS = 8, 8
"""Trials of the biophysical model, and resamples of them, of `drawn`."""


class TableSource(Protocol):
    """What a study takes tables from."""

    @property
    def title(self) -> str:
        """The words of its row in a report."""
        ...

    def tables(self, progress: Progress = ignore_progress) -> Tables:
        """Its tables; raises `SimulationError`, `DistillError`, or `UsageError` if an extra is missing."""
        ...


@dataclass(frozen=True)
class Astrocyte:
    """One simulation, as its changes of a parameter set of the rate model, or the biophysical model."""

    title: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    preset: str = "paper_default"
    biophysical: bool = False

    def traces(self, progress: Progress = ignore_progress) -> xr.Dataset:
        """Simulate it; raises `SimulationError`, or `UsageError` if Brian2 is missing."""
        if self.biophysical:
            # Imported here, because the rate model does not need the spiking network.
            from astro_sim.biophysics.spiking.parameters import BiophysicalParameters
            from astro_sim.biophysics.spiking.simulation import simulate_biophysical

            return simulate_biophysical(BiophysicalParameters(), None, progress)
        return simulate(load_preset(self.preset).override(dict(self.changes)), progress=progress)

    def tables(self, progress: Progress = ignore_progress) -> Tables:
        """As `TableSource.tables`."""
        return _distilled(self.traces(progress))


@dataclass(frozen=True)
class Trials:
    """Trials of the biophysical model that differ in their noise; simulated once, when they are first needed."""

    count: int

    @cached_property
    def traces(self) -> xr.Dataset:
        """Their traces; raises `SimulationError`, or `UsageError` if Brian2 is missing."""
        from astro_sim.biophysics.spiking.simulation import simulate_trials

        return simulate_trials(None, range(1, self.count + 1))


@dataclass(frozen=True)
class Draw:
    """The tables of some of the `trials`; `chosen` are places from 0, repeated as they were drawn."""

    title: str
    trials: Trials
    chosen: tuple[int, ...]

    def tables(self, progress: Progress = ignore_progress) -> Tables:
        """As `TableSource.tables`."""
        traces = self.trials.traces
        progress(0.9)
        return _distilled(traces.isel({TRIAL: list(self.chosen)}))


def _distilled(traces: xr.Dataset) -> Tables:
    tables = distil(traces, DistillParameters(segments=SEGMENTS))
    for part in NEEDED:
        tables.require(part)
    return tables


def _varied() -> dict[str, Astrocyte]:
    base = load_preset("paper_default")
    return {
        f"{name}_{value:g}": Astrocyte(words.format(value), changes)
        for name, (words, values) in VARIED.items()
        for value, changes in zip(values, GridDesign({name: Listed(values)}).rows(base), strict=True)
    }


def astrocytes() -> dict[str, Astrocyte]:
    """All astrocytes by name, the default one first."""
    return {
        "default": Astrocyte("default"),
        **_varied(),
        "no_restart": Astrocyte("no restarts", {"restart_fast_variables": False}),
        "feedback": Astrocyte("long-term feedback 0.2", {"long_term_feedback": 0.2}),
        "soft_bound": Astrocyte("soft bound", {"long_term_growth": "soft_bound"}),
        "biological": Astrocyte("preset biological", preset="biological"),
        "biophysical": Astrocyte("biophysical model", biophysical=True),
    }


def drawn(seed: int = 0) -> dict[str, Draw]:
    """All `TRIALS` of the biophysical model, and `DRAWS` bootstrap resamples of them, by name.

    The tables of a resample are a draw from the distribution of the tables: whole trials are drawn with replacement and
    everything is distilled anew, so the errors of all increments keep their correlation.
    """
    trials, random = Trials(TRIALS), np.random.default_rng(seed)
    everything = {"all_trials": Draw(f"all {TRIALS} trials", trials, tuple(range(TRIALS)))}
    rows = random.integers(TRIALS, size=(DRAWS, TRIALS))
    return everything | {
        f"draw_{number}": Draw(f"draw {number}", trials, tuple(map(int, row)))
        for number, row in enumerate(rows, start=1)
    }


SOURCES: Mapping[str, Callable[[], Mapping[str, TableSource]]] = {"astrocyte": astrocytes, "drawn": drawn}
"""What gives the tables of a study, by the name of the study."""


def write_tables_of(
    chosen: Mapping[str, TableSource], folder: Path, progress: Progress = ignore_progress
) -> tuple[dict[str, Path], dict[str, str]]:
    """Make the tables of the `chosen` sources in `folder`; the files by name, and the reasons of those left out.

    Tables that are in the folder already are kept, so that the same call continues after an interrupt.

    Raises
    ------
    TableError, FileError
        A file in the folder is damaged, or cannot be written.
    """
    made: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for count, (name, source) in enumerate(chosen.items()):
        path = folder / f"{name}.nc"
        try:
            _make(path, source, part_of(progress, count, len(chosen)))
        except RmaatError as error:
            if path.exists():
                raise
            missing[name] = str(error)
        else:
            made[name] = path
    return made, missing


def _make(path: Path, source: TableSource, progress: Progress) -> None:
    if path.exists():
        read_tables(path)
        return
    tables = source.tables(progress)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tables(tables, path)
