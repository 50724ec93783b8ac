"""Measure how far each model departs from the geometric law, and write the table and figure of docs/distillation.md.

python -m benchmarks.geometric_law [--page docs/distillation.md] [--figure docs/images/laws.png]

The default set runs for twelve cycles, the set `biological` and the biophysical model (which needs Brian2) for 32. The
table replaces the one between two comments of the page; the other text of the page does not change.
"""

import argparse
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from astro_sim import SimulationParameters, load_preset, simulate
from astro_sim.biophysics.spiking.parameters import BiophysicalParameters
from astro_sim.biophysics.spiking.simulation import simulate_biophysical
from distill import DistillError, distil
from distill.law_fit import Rate, fit_rate
from distill.long_term import LongTermCurve, fit_curve
from figures import draw_laws, save_figure
from rmaat.base.errors import UsageError
from rmaat.base.files import read_text, write_bytes, write_text
from rmaat.base.text import table

Parameters = SimulationParameters | BiophysicalParameters
DEFAULT = SimulationParameters().override({"run_duration": 600.0})
BIOPHYSICAL = BiophysicalParameters().override({"run_duration": 1920.0})
START, END = "<!-- written by: python -m benchmarks.geometric_law -->\n", "<!-- end of what is written -->\n"
HEADER = (
    "model",
    "a, with 95 % interval",
    "curve off by",
    "retention off by",
    "increments decrease",
    "spread over synapses",
    "law taken",
    "why",
)


@dataclass(frozen=True)
class Case:
    """A model, its changes of parameters, and the reason of its departure; the figure shows it if it has a `legend`."""

    name: str
    why: str
    base: Parameters = DEFAULT
    changes: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "hill"
    legend: str = ""

    def traces(self) -> xr.Dataset:
        """Simulate the model."""
        # The table reports increments that grow, so the warnings would repeat it.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if isinstance(self.base, BiophysicalParameters):
                return simulate_biophysical(self.base.changed({"plasticity": {"kind": self.kind}}))
            return simulate(self.base.override(self.changes))

    @property
    def noisy(self) -> bool:
        """Whether the model draws random numbers during the run."""
        return isinstance(self.base, BiophysicalParameters)


BIOLOGICAL = load_preset("biological")
CASES = (
    Case("default: linear, restarts", "every cycle has the same input", legend="default"),
    Case(
        "without restarts",
        "the first cycle starts from rest, later ones from what is left",
        changes={"restart_fast_variables": False},
        legend="without restarts",
    ),
    Case(
        "drive varies by 10 %",
        "cycles differ in their input, and increments follow it",
        changes={"drive_variation": 0.1},
        legend="drive varies by 10 %",
    ),
    Case(
        "stimulus late by up to 5 s",
        "what is early in a cycle has decayed more at its end",
        changes={"stimulus_jitter": 5.0},
    ),
    Case(
        "Poisson drive at 40 Hz in bins of 0.5 s",
        "counts average out over a cycle, less so at each synapse",
        changes={"firing": "poisson", "modulation_bin": 0.5},
    ),
    Case(
        "soft bound",
        "each synapse has a rate of its own, that of its drive; a sum of such laws is nearly one",
        changes={"long_term_growth": "soft_bound"},
        legend="soft bound",
    ),
    Case(
        "feedback with gain 0.2",
        "what has grown drives further growth",
        changes={"long_term_feedback": 0.2},
        legend="feedback 0.2",
    ),
    Case("set `biological`", "cycles last many decay times", BIOLOGICAL, legend="set biological"),
    Case("`biological`, soft bound", "as above", BIOLOGICAL, {"long_term_growth": "soft_bound"}),
    Case("`biological`, feedback 0.5", "what has grown drives further growth", BIOLOGICAL, {"long_term_feedback": 0.5}),
    Case("`biological`, feedback 1", "the loop latches while it grows", BIOLOGICAL, {"long_term_feedback": 1.0}),
    Case("`biological`, feedback 2", "the loop latches early", BIOLOGICAL, {"long_term_feedback": 2.0}),
    Case("biophysical, one run", "spikes are random", BIOPHYSICAL, legend="biophysical"),
    Case(
        "biophysical, calcium-based plasticity",
        "efficacy settles in the first cycle, and the rest is its slow expression",
        BIOPHYSICAL,
        kind="graupner_brunel",
    ),
)


def main() -> None:
    """Simulate all cases, print the table, and write table and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, default=Path("docs/distillation.md"))
    parser.add_argument("--figure", type=Path, default=Path("docs/images/laws.png"))
    options = parser.parse_args()
    rows, drawn = [], {}
    for case in CASES:
        traces = case.traces()
        rows.append(row(case, traces))
        if case.legend:
            drawn[case.legend] = distil(traces)
    print(table(rows, HEADER))
    write_text(options.page, with_table(options.page, rows))
    with tempfile.TemporaryDirectory() as folder:
        png, _ = save_figure(draw_laws(drawn), Path(folder) / "laws")
        write_bytes(options.figure, png.read_bytes())


def row(case: Case, traces: xr.Dataset) -> tuple[str, ...]:
    """Return the cells of one row, in the order of `HEADER`."""
    values = synaptic_growth(traces)
    curve = values.mean(axis=1)
    rate, found = fit_rate(curve), fitted(curve, noisy=case.noisy)
    shape = -np.expm1(-rate.value * np.arange(1, len(curve) + 1))
    off = np.abs(curve - shape * (shape @ curve) / (shape @ shape)).max() / curve[-1]
    increments = np.diff(values, axis=0, prepend=0)
    mean, law = increments.mean(axis=1), np.diff(shape, prepend=0)
    departure = np.abs(mean / mean.sum() - law / law.sum()).max()
    spread = np.ptp(increments / increments.sum(axis=0), axis=1).max()
    grow = np.count_nonzero(np.diff(mean) >= 0)
    return (
        case.name,
        _rate(found.rate if found else rate),
        f"{float(f'{100 * off:.1g}'):g} %",
        f"{departure:.1g}",
        f"all but {grow}" if grow else "yes",
        f"{spread:.1g}",
        law_taken(found),
        case.why,
    )


def synaptic_growth(traces: xr.Dataset) -> np.ndarray:
    """Return the long-term process minus its start value at the ends of cycles, shape (cycle, synapse)."""
    process = traces["long_term_process"]
    grown = process.sel(time=traces["cycle_end"].values) - process.isel(time=0, drop=True)
    return grown.stack(synapse=("post", "pre")).values


def fitted(curve: np.ndarray, *, noisy: bool) -> LongTermCurve | None:
    """Return what distillation makes of a curve (cycle,); None if it refuses the curve."""
    try:
        return fit_curve(np.append(0, curve), len(curve), stochastic=noisy)
    except DistillError:
        return None


def law_taken(found: LongTermCurve | None) -> str:
    """Return the law of a curve, and whether it replaces all increments or late ones continue them."""
    if found is None:
        return "none: refused"
    name = found.law.name.replace("_", " ")
    if not found.simulated:
        return f"{name}, for all increments"
    return f"{name}; the late rate continues" if found.tail and found.tail.late else name


def with_table(page: Path, rows: Sequence[tuple[str, ...]]) -> str:
    """Return the text of `page` with a new table.

    Raises
    ------
    UsageError
        The page lacks one of the two comments that enclose the table.
    """
    text = read_text(page)
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise UsageError(f"{page} has no place for the table; enclose one with the lines {START.strip()} {END.strip()}")
    lines = ("| " + " | ".join(cells) + " |\n" for cells in (HEADER, ("---",) * len(HEADER), *rows))
    return f"{before}{start}\n{''.join(lines)}\n{end}{after}"


def _rate(rate: Rate) -> str:
    low, high = rate.interval
    if high - low < 1e-5:
        return f"{rate.value:.4f}"
    return f"{rate.value:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
