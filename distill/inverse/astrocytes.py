"""Astrocytes whose tables a study compares: simulations that differ in one parameter, and other models.

One design of `astro_sim.sweep` for each parameter gives the points around the default set. The others change several
parameters at once: no restarts, feedback, a soft bound, the preset `biological`, the biophysical model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xarray as xr

from astro_sim import load_preset, simulate
from astro_sim.sweep import GridDesign, Listed
from distill.distillation import distil
from distill.parameters import DistillParameters
from distill.tables import read_tables, write_tables
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


def write_tables_of(
    chosen: Mapping[str, Astrocyte], folder: Path, progress: Progress = ignore_progress
) -> tuple[dict[str, Path], dict[str, str]]:
    """Simulate and distil the `chosen` astrocytes into `folder`; the tables by name, and the reasons of those left out.

    Tables that are in the folder already are kept, so that the same call continues after an interrupt.

    Raises
    ------
    TableError, FileError
        A file in the folder is damaged, or cannot be written.
    """
    made: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for count, (name, astrocyte) in enumerate(chosen.items()):
        path = folder / f"{name}.nc"
        try:
            _make(path, astrocyte, part_of(progress, count, len(chosen)))
        except RmaatError as error:
            if path.exists():
                raise
            missing[name] = str(error)
        else:
            made[name] = path
    return made, missing


def _make(path: Path, astrocyte: Astrocyte, progress: Progress) -> None:
    if path.exists():
        read_tables(path)
        return
    tables = distil(astrocyte.traces(progress), DistillParameters(segments=SEGMENTS))
    for part in NEEDED:
        tables.require(part)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tables(tables, path)
