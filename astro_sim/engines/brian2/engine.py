"""Brian2 in a process of its own, the independent second engine.

All methods of Brian2 are of first order here, because what one object reads of another is frozen within a step; the
default step keeps every stored value of the default run within 1e-3 of SciPy's. The network runs as compiled C++ where
there is a compiler, and otherwise, some hundred times slower, in NumPy.
"""

from pathlib import Path

import numpy as np

from astro_sim.durations import common_step, divides
from astro_sim.engines.brian2.process import Network, check_installed, choose_target, run_network
from astro_sim.engines.job import Job, Solution
from astro_sim.equations.model import Place
from astro_sim.network.coupling import LARGEST_DENSE
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
        Brian2 or a compiler that was asked for is not installed, or a process failed; the end of its log is told.
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
            # Brian2 then drops the last step or sample of a run, at random.
            raise ParameterError(
                f"time_step of {step:g} s does not divide {name} of {length:g} s; choose a step that does"
            )


def _edge_step(job: Job) -> float:
    return common_step(interval.end for interval in job.intervals)


def _check_synapses(job: Job) -> None:
    post, pre = job.coupling.shape
    if post * pre > LARGEST_DENSE:
        raise ParameterError(
            f"engine brian2 connects synapses pair by pair, and {pre} x {post} neurons have {post * pre} synapses, "
            f"more than the {LARGEST_DENSE} for which it can; use engine scipy or fewer neurons"
        )


def _network(job: Job) -> Network:
    step = _edge_step(job)
    lengths = [round((interval.end - interval.start) / step) for interval in job.intervals]
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    kept = np.ones(sum(lengths))
    kept[starts[[interval.restart for interval in job.intervals]]] = 0
    inputs = {
        "presynaptic_drive": np.repeat([interval.presynaptic_drive for interval in job.intervals], lengths, axis=0),
        "postsynaptic_drive": np.repeat([interval.postsynaptic_drive for interval in job.intervals], lengths, axis=0),
        "kept_at_edge": kept,
    }
    parameters = {path[-1]: (value, quantity.unit) for path, value, quantity in job.parameters.parameters()}
    post, pre = job.coupling.shape
    recorded: dict[str, list[str]] = {}
    for variable in job.model.variables:
        recorded.setdefault(variable.place, []).append(variable.name)
    structure = {
        "variables": [
            {"name": v.name, "place": v.place, "rate": v.rate, "restarts": v.restarts} for v in job.model.variables
        ],
        "synaptic_input": job.model.synaptic_input,
        "coupled_signal": job.model.coupled_signal,
        "parameters": {name: unit for name, (_, unit) in parameters.items()},
        "method": METHOD,
        "sizes": {Place.PRE: pre, Place.POST: post, Place.SYNAPSE: post * pre},
        "recorded": recorded,
        "inputs": {name: values.shape for name, values in inputs.items()},
        "duration": job.intervals[-1].end,
        "edge_step": step,
        "recording_interval": job.recording_interval,
        "time_step": job.solver.time_step,
    }
    values = {name: value for name, (value, _) in parameters.items()}
    values["coupling.coupling"] = job.coupling.dense().ravel()
    return Network(SCRIPT, structure, values | {f"{name}.values": array for name, array in inputs.items()})
