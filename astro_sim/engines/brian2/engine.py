"""The second, independent engine: Brian2 with a fixed step, in a separate process.

`astro_sim.engines.scipy_engine` is the reference. Every method of Brian2 has first order here, because an object reads
the other objects at the start of a step only. With the default step, every stored value of the default run is within
1e-3 of SciPy's. The network runs as compiled C++ if there is a compiler, else in NumPy, about a hundred times slower.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from astro_sim.durations import common_step, divides
from astro_sim.engines.brian2.process import Network, check_installed, choose_target, run_network
from astro_sim.engines.job import Job, Solution
from astro_sim.equations.model import Place
from astro_sim.network.coupling import LARGEST_DENSE
from rmaat.base.arrays import Array
from rmaat.base.progress import Progress
from rmaat.base.records import ParameterError

SCRIPT = Path(__file__).with_name("rate_network.py")
METHOD = "rk4"


def integrate(job: Job, progress: Progress) -> Solution:
    """Solve `job`.

    Raises
    ------
    ParameterError
        The time step does not divide the recording interval, or there are too many synapses.
    SimulationError
        Brian2 or the requested compiler is not installed, or a process failed; the message shows the end of its log.
    FileError
        The folder for compiled networks cannot be written.
    """
    check_installed()
    _check_steps(job)
    _check_synapses(job)
    target = choose_target(job.solver.brian2_target)
    progress(0.0)
    times, states = run_network(_network(job), target, progress)
    progress(1.0)
    sizes: dict[str, int] = dict(zip(("post", "pre"), job.coupling.shape, strict=True))
    values = {
        variable.label: states[f"{variable.place}.{variable.name}"].reshape(
            times.size, *(sizes[dim] for dim in variable.dims)
        )
        for variable in job.model.variables
    }
    settings = {"method": METHOD, "time_step": job.solver.time_step, "target": target}
    return Solution(times, values, settings, ("brian2",))


def _check_steps(job: Job) -> None:
    step, edges = job.solver.time_step, _edge_step(job)
    for name, length in (("recording_interval", job.recording_interval), ("the stimulus's edges, steps", edges)):
        if not divides(step, length):
            # Otherwise Brian2 may drop the last step or the last sample, depending on rounding.
            raise ParameterError(
                f"time_step of {step:g} s does not divide {name} of {length:g} s; choose a step that does"
            )


def _edge_step(job: Job) -> float:
    """The longest step in s that divides the end of every interval."""
    return common_step(interval.end for interval in job.intervals)


def _check_synapses(job: Job) -> None:
    post, pre = job.coupling.shape
    if post * pre > LARGEST_DENSE:
        raise ParameterError(
            f"engine brian2 connects synapses pair by pair, and {pre} x {post} neurons have {post * pre} synapses, "
            f"more than the {LARGEST_DENSE} that it supports; use engine scipy or fewer neurons"
        )


def _network(job: Job) -> Network:
    parameters = {path[-1]: (value, quantity.unit) for path, value, quantity in job.parameters.parameters()}
    inputs = _inputs(job)
    units = {name: unit for name, (_, unit) in parameters.items()}
    shapes = {name: array.shape for name, array in inputs.items()}
    values = {name: value for name, (value, _) in parameters.items()}
    values["coupling.coupling"] = job.coupling.dense().ravel()
    values |= {f"{name}.values": array for name, array in inputs.items()}
    return Network(SCRIPT, _structure(job, units, shapes), values)


def _inputs(job: Job) -> dict[str, Array]:
    """The drives (edge step, neuron), and a factor (edge step,) that is 0 where the fast variables restart, else 1."""
    step = _edge_step(job)
    lengths = [round((interval.end - interval.start) / step) for interval in job.intervals]
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    kept = np.ones(sum(lengths))
    kept[starts[[interval.restart for interval in job.intervals]]] = 0
    return {
        "presynaptic_drive": np.repeat([interval.presynaptic_drive for interval in job.intervals], lengths, axis=0),
        "postsynaptic_drive": np.repeat([interval.postsynaptic_drive for interval in job.intervals], lengths, axis=0),
        "kept_at_edge": kept,
    }


def _structure(job: Job, units: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Everything that is compiled into the network, as plain values; `Network` and `rate_network` read it."""
    post, pre = job.coupling.shape
    recorded: dict[str, list[str]] = {}
    for variable in job.model.variables:
        recorded.setdefault(variable.place, []).append(variable.name)
    return {
        "variables": [
            {"name": v.name, "place": v.place, "rate": v.rate, "restarts": v.restarts} for v in job.model.variables
        ],
        "synaptic_input": job.model.synaptic_input,
        "coupled_signal": job.model.coupled_signal,
        "parameters": dict(units),
        "method": METHOD,
        "sizes": {Place.PRE: pre, Place.POST: post, Place.SYNAPSE: post * pre},
        "recorded": recorded,
        "inputs": dict(shapes),
        "duration": job.intervals[-1].end,
        "edge_step": _edge_step(job),
        "recording_interval": job.recording_interval,
        "time_step": job.solver.time_step,
    }
