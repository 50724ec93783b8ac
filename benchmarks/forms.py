"""Measure how far forms of the rate model depart from the geometric law, and the time course of p^s.

python -m benchmarks.forms [--out benchmarks/results/forms.json] [--runs runs/forms]

The preset is `biological`; the forms have a short-term time constant of 5 s. The law is that of restarts and linear
growth: increments fall by exp(-cycle / time constant) a cycle. Its retention factors are compared with those of the
mean long-term process, and the factors of single synapses with each other. Traces in `--runs` are used again.
"""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from astro_sim import SimulationParameters, load_preset, simulate
from astro_sim.runs.traces import read_traces, write_traces
from benchmarks.report import RESULTS, option_parser, write_report
from rmaat.base.arrays import Array
from rmaat.base.provenance import processor

FORMS: dict[str, dict[str, Any]] = {
    "linear": {},
    "soft_bound": {"long_term_growth": "soft_bound"},
    "feedback_0.5": {"long_term_feedback": 0.5},
    "feedback_1": {"long_term_feedback": 1.0},
}
SLOWER = {"short_term_time_constant": 5.0}
ONE_CYCLE = {"run_duration": 60.0}


def main() -> None:
    """Simulate, measure and write JSON."""
    parser = option_parser(__doc__, RESULTS / "forms.json")
    parser.add_argument("--runs", type=Path, default=Path("runs/forms"), help="traces [default: runs/forms]")
    options = parser.parse_args()
    preset = load_preset("biological")
    found: dict[str, dict[str, float]] = {}
    for name, changes in FORMS.items():
        parameters = preset.override(SLOWER | changes)
        traces = traces_of(parameters, options.runs / f"{name}.nc")
        rate = parameters.protocol.cycle_duration / parameters.model.long_term_time_constant
        found[name] = departures(traces.long_term_process.sel(time=traces.cycle_end.values), rate)
        print(name, found[name], flush=True)
    course = time_course(traces_of(preset.override(ONE_CYCLE), options.runs / "one_cycle.nc").short_term_process)
    print(course)
    content = {"departures": found, "short_term_process": course}
    write_report(options.out, "python -m benchmarks.forms", processor(), ("numpy", "scipy"), content)


def traces_of(parameters: SimulationParameters, path: Path) -> xr.Dataset:
    """Return the traces at `path`; simulate and write them if they are missing."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_traces(simulate(parameters), path)
    return read_traces(path)


def departures(ends: xr.DataArray, rate: float) -> dict[str, float]:
    """Return largest differences of retention factors, from the law and between synapses.

    `ends` is the long-term process at the ends of the cycles, (cycle, post, pre); `rate` is the law's per cycle.
    """
    values = ends.transpose("time", "post", "pre").values.reshape(len(ends.time), -1)
    mean, single = factors(values.mean(axis=1, keepdims=True)), factors(values)
    law = np.exp(-rate * np.arange(len(values)))
    return {
        "from_law": float(np.abs(mean[:, 0] - law / law.sum()).max()),
        "between_synapses": float(np.ptp(single, axis=1).max()),
    }


def factors(ends: Array) -> Array:
    """Return the retention factors of each column of `ends`, (cycle, synapse): the shares of its increments."""
    return np.diff(ends, axis=0, prepend=0) / ends[-1]


def time_course(process: xr.DataArray) -> dict[str, float]:
    """Return when the mean over synapses peaks, its rise from 10 to 90 % of the peak, and its fall to 1/e, in s."""
    mean, times = process.mean(("post", "pre")).values, process.time.values
    top = int(mean.argmax())
    rising = np.interp([0.1 * mean[top], 0.9 * mean[top]], mean[: top + 1], times[: top + 1])
    falling = np.interp(-mean[top] / np.e, -mean[top:], times[top:])
    return {
        "rise_seconds": float(rising[1] - rising[0]),
        "peak_seconds": float(times[top]),
        "fall_seconds": float(falling - times[top]),
    }


if __name__ == "__main__":
    main()
