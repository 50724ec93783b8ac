"""Runs of Brian2 and NEST beside our SciPy engine, on the same equations; `benchmarks.coupling` calls them.

Brian2 sums the coupling over dense Synapses in compiled C++. A first run builds the program; the second is timed.
NEST's astrocyte_lr_1994 lets IP3 decay towards a resting level; it starts at that level, so IP3 is constant. NEST's
times are those of the simulation alone. NEST may be installed in another Python.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import xarray as xr

from astro_sim import SimulationParameters, simulate
from astro_sim.biophysics import LI_RINZEL, CalciumParameters, FrequencyCalciumParameters, constants_of, solve
from astro_sim.errors import SimulationError
from benchmarks.timing import timed

NEST_SCRIPT = Path(__file__).with_name("nest_astrocyte.py")
START = {"calcium": 0.073, "availability": 0.793}
DURATION, INTERVAL = 600.0, 0.1
ASTROCYTES = {"AM": (CalciumParameters(), 0.5), "FM": (FrequencyCalciumParameters(), 0.6)}


@dataclass(frozen=True)
class OutsideRun:
    """A run of ours and of another simulator; if a value is None, `other` gives the reason."""

    run: str
    seconds: float | None
    other: str
    other_seconds: float | None = None
    difference: float | None = None
    unit: str = ""

    def row(self) -> tuple[str, ...]:
        """Return the cells of a table: run, our time, the other, its time, the ratio and the largest difference."""
        ours = "" if self.seconds is None else f"{self.seconds:.2g} s"
        if self.seconds is None or self.other_seconds is None:
            return self.run, ours, self.other, "", "", ""
        ratio = f"{self.other_seconds / self.seconds:.2g}"
        return self.run, ours, self.other, f"{self.other_seconds:.2g} s", ratio, f"{self.difference:.0e} {self.unit}"


@contextmanager
def empty_cache() -> Iterator[None]:
    """Run the body with an empty cache of Brian2 builds, so that the first run builds its program."""
    with tempfile.TemporaryDirectory() as empty, mock.patch.dict(os.environ, {"RMAAT_CACHE": empty}):
        yield


def beside_brian2(side: int) -> OutsideRun:
    """Run one cycle of `side` x `side` neurons; the difference is relative to the largest value of the variable."""
    parameters = SimulationParameters().override(
        {"presynaptic_neurons": side, "postsynaptic_neurons": side, "coupling_given_by": "spectral_radius"}
    )
    parameters = parameters.override({"run_duration": parameters.protocol.cycle_duration})
    seconds, ours = timed(lambda: simulate(parameters))
    name = f"{side} x {side}, a cycle, dense"
    with empty_cache():
        try:
            simulate(parameters, "brian2")
        except SimulationError as error:
            return OutsideRun(name, seconds, f"Brian2: {error}")
        other_seconds, theirs = timed(lambda: simulate(parameters, "brian2"))
    solver = parameters.solver
    other = f"Brian2, dense Synapses, step {solver.time_step:g} s"
    return OutsideRun(name, seconds, other, other_seconds, _largest_difference(ours, theirs), "of the largest")


def beside_nest(python: str) -> list[OutsideRun]:
    """Compare calcium at constant IP3 for both parameter sets; `python` is the interpreter that has NEST."""
    installed = subprocess.run([python, "-c", "import nest"], capture_output=True).returncode == 0
    return [_beside_nest(python, name) if installed else _without_nest(name) for name in ASTROCYTES]


def _without_nest(name: str) -> OutsideRun:
    seconds, _ = timed(lambda: _calcium(name, np.arange(0, DURATION, INTERVAL)))
    return OutsideRun(_title(name), seconds, "NEST is not installed")


def _beside_nest(python: str, name: str) -> OutsideRun:
    answer = _run_nest(python, *ASTROCYTES[name])
    times = np.array([0.0, *answer["times"]]) / 1000
    seconds, calcium = timed(lambda: _calcium(name, times))
    difference = float(np.abs(calcium[1:] - answer["calcium"]).max())
    other = f"NEST {answer['version']}, astrocyte_lr_1994"
    return OutsideRun(_title(name), seconds, other, answer["seconds"], difference, "umol/L")


def _title(name: str) -> str:
    return f"Li-Rinzel {name}, {DURATION:g} s at IP3 {ASTROCYTES[name][1]:g}"


def _calcium(name: str, times: Any) -> Any:
    parameters, ip3 = ASTROCYTES[name]
    return solve(LI_RINZEL, constants_of(parameters) | {"ip3": ip3}, START, times)["calcium"]


def _run_nest(python: str, parameters: CalciumParameters, ip3: float) -> dict[str, Any]:
    request = {"parameters": nest_parameters(parameters, ip3), "duration": 1000 * DURATION, "interval": 1000 * INTERVAL}
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder, "request.json"), Path(folder, "answer.json")
        asked.write_text(json.dumps(request))
        subprocess.run([python, str(NEST_SCRIPT), str(asked), str(answer)], check=True, capture_output=True)
        return json.loads(answer.read_text())


def nest_parameters(parameters: CalciumParameters, ip3: float) -> dict[str, float]:
    """Return the parameters of NEST's astrocyte; its unit of time is ms, ours s."""
    return {
        "Ca_astro": START["calcium"],
        "h_IP3R": START["availability"],
        "IP3": ip3,
        "IP3_0": ip3,
        "Ca_tot": parameters.total_calcium,
        "ratio_ER_cyt": parameters.store_volume_ratio,
        "rate_IP3R": parameters.release_rate / 1000,
        "rate_L": parameters.leak_rate / 1000,
        "rate_SERCA": parameters.pump_rate / 1000,
        "Km_SERCA": parameters.pump_affinity,
        "k_IP3R": parameters.inactivation_binding / 1000,
        "Kd_IP3_1": parameters.ip3_dissociation,
        "Kd_IP3_2": parameters.ip3_inactive_dissociation,
        "Kd_act": parameters.activation_dissociation,
        "Kd_inh": parameters.inactivation_dissociation,
    }


def _largest_difference(ours: xr.Dataset, theirs: xr.Dataset) -> float:
    states = [name for name, values in ours.items() if "time" in values.dims and values.dtype.kind == "f"]
    return max(float(np.abs(theirs[name] - ours[name]).max() / np.abs(ours[name]).max()) for name in states)
