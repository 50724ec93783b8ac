"""Compare the SciPy engine with Brian2: differences of the traces, and time.

python -m benchmarks.engines [--cycles 6] [--out benchmarks/results/engines.json]

The default network runs with SciPy, and with Brian2 at two time steps. The first table shows the largest relative
difference of each variable over all stored times. Its last column divides the differences at both steps: 2 means that
Brian2's error is of first order. The second table shows the time, for Brian2 with and without the build of its C++
program.
"""

from functools import partial

import numpy as np
import xarray as xr

from astro_sim import SimulationParameters, simulate
from benchmarks.other_simulators import empty_cache
from benchmarks.report import RESULTS, option_parser, write_report
from benchmarks.timing import seconds_of, timed
from rmaat.base.provenance import processor
from rmaat.base.text import table

VARIABLES = (
    "presynaptic_activity",
    "postsynaptic_activity",
    "synaptic_facilitation",
    "short_term_process",
    "long_term_process",
)
TIME_STEPS = (0.0002, 0.0001)


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = option_parser(__doc__, RESULTS / "engines.json")
    parser.add_argument("--cycles", type=int, default=6, help="cycles to simulate [default: 6]")
    options = parser.parse_args()
    parameters = SimulationParameters()
    parameters = parameters.override({"run_duration": options.cycles * parameters.protocol.cycle_duration})
    of_scipy, reference = timed(partial(simulate, parameters))
    seconds = {"scipy": of_scipy}
    differences = []
    with empty_cache():
        for step in TIME_STEPS:
            by_brian2 = partial(simulate, parameters.override({"time_step": step}), "brian2")
            seconds[f"brian2, {step} s, with its build"], traces = timed(by_brian2)
            seconds[f"brian2, {step} s, build kept"] = seconds_of(by_brian2)
            differences.append({name: _difference(traces[name], reference[name]) for name in VARIABLES})
    rows = [
        (name, *(f"{found[name]:.1e}" for found in differences), f"{differences[0][name] / differences[1][name]:.2f}")
        for name in VARIABLES
    ]
    print(table(rows, ("relative difference", *(f"step {step} s" for step in TIME_STEPS), "ratio")))
    print(table([(name, f"{value:.2f} s") for name, value in seconds.items()], ("engine", "time")))
    content = {"cycles": options.cycles, "time_steps": TIME_STEPS, "differences": differences, "seconds": seconds}
    write_report(options.out, "python -m benchmarks.engines", processor(), ("scipy", "numpy", "brian2"), content)


def _difference(found: xr.DataArray, reference: xr.DataArray) -> float:
    """Return the largest |found - reference| / |reference|, without the start, where all values are 0."""
    found, reference = found[1:], reference[1:]
    return float(np.abs(found / reference - 1).max())


if __name__ == "__main__":
    main()
