"""Simulates the spiking model of tripartite synapses and returns traces with the variables of the rate model.

| trace | in the spiking model |
| --- | --- |
| presynaptic, postsynaptic activity | rate of spikes over a window, Hz |
| synaptic facilitation | coincidence of spikes, plus gliotransmission |
| short-term process | IP3 of the astrocytic process, in umol/L |
| long-term process | slow variable driven by a Hill function of facilitation, or by synaptic efficacy |
| coupling | weights of the exchange of IP3 |
| influence | change of IP3 at rest per small IP3 production; 1 means the change that the phosphatase alone allows |

The traces also hold `calcium` and `presynaptic_receptors`. The model follows Stimberg, Goodman, Brette and De Pittà
2019, doi:10.1101/198366; coincidence and long-term process are ours. Poisson spikes make increments of the long-term
process noisy: they decrease in the mean over seeds, not in every run. Fit their law instead of reading it off one run.

`network.py` builds the network in a Brian2 process of its own; it cannot import this package, so that equations reach
it as strings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import xarray as xr

from astro_sim.biophysics.calcium import G_CHI, PROCESS
from astro_sim.biophysics.release import GLIOTRANSMISSION, ON_CALCIUM, ON_SPIKE, PRESYNAPTIC_RECEPTORS, SYNAPSE
from astro_sim.biophysics.solve import solve
from astro_sim.biophysics.spiking.parameters import BiophysicalParameters, NeuronParameters
from astro_sim.biophysics.system import constants_of
from astro_sim.durations import common_step
from astro_sim.engines.brian2.process import Network, check_installed, choose_target, run_network
from astro_sim.engines.job import Job, Solution
from astro_sim.equations.influence import jacobian, response
from astro_sim.equations.model import Model, Place, Variable
from astro_sim.errors import SimulationError
from astro_sim.network.coupling import Coupling, as_matrix, build_coupling, require_dense, sources_to_store
from astro_sim.network.geometry import Geometry, build_geometry
from astro_sim.parameter_set import SimulationParameters
from astro_sim.parameters import SolverParameters
from astro_sim.protocol import build_intervals
from astro_sim.runs.traces import build_traces, stack_trials
from rmaat.base.arrays import Array
from rmaat.base.progress import Progress, ignore_progress, part_of
from rmaat.base.records import ParameterError

SCRIPT = Path(__file__).with_name("network.py")
RECORDED = {
    "presynaptic": ["activity"],
    "postsynaptic": ["activity"],
    "synapse": ["synaptic_facilitation", "presynaptic_receptors", "long_term_process"],
    "process": ["ip3", "calcium"],
}
VARIABLES = {
    "presynaptic_activity": ("presynaptic.activity", Place.PRE, "Hz", "presynaptic activity", "x_j"),
    "postsynaptic_activity": ("postsynaptic.activity", Place.POST, "Hz", "postsynaptic activity", "x_i"),
    "synaptic_facilitation": ("synapse.synaptic_facilitation", Place.SYNAPSE, "1", "synaptic facilitation", "s_ij"),
    "short_term_process": ("process.ip3", Place.SYNAPSE, "umol/L", "short-term astrocytic process: IP3", "p^s_ij"),
    "long_term_process": ("synapse.long_term_process", Place.SYNAPSE, "1", "long-term astrocytic process", "p^l_ij"),
    "calcium": ("process.calcium", Place.SYNAPSE, "umol/L", "calcium of the astrocytic process", "C"),
    "presynaptic_receptors": (
        "synapse.presynaptic_receptors",
        Place.SYNAPSE,
        "1",
        "share of presynaptic receptors bound to gliotransmitter",
        "Γ_S",
    ),
}
"""By label of the trace: name in the network, place, unit, meaning and symbol."""

# Simulated time in s before rest is measured.
SETTLING = 2000.0


def simulate_biophysical(
    parameters: BiophysicalParameters | None = None, seed: int | None = None, progress: Progress = ignore_progress
) -> xr.Dataset:
    """Run the spiking model in Brian2 and return its traces, as `astro_sim.runs.traces` describes them.

    Parameters
    ----------
    seed : int, optional
        Replaces `noise_seed`. Equal seeds give equal traces.
    progress : callable, optional
        Called with the fraction done, in [0, 1].

    Raises
    ------
    SimulationError
        Brian2 is not installed or failed, or a process never comes to rest.
    ParameterError
        The network is too large.
    """
    parameters = parameters or BiophysicalParameters()
    if seed is not None:
        parameters = parameters.override({"noise_seed": seed})
    progress(0.0)
    traces = _simulate_trial(_prepare(parameters), parameters, progress)
    progress(1.0)
    return traces


def simulate_trials(
    parameters: BiophysicalParameters | None, seeds: Sequence[int], progress: Progress = ignore_progress
) -> xr.Dataset:
    """Run the spiking model once per seed, all in one compiled network, and return the traces of all trials.

    Variables that depend on the noise have `trial` as first axis; the coordinate `noise_seed` (trial) gives the seeds.
    The attributes have the parameters and the seed of the first trial.

    Parameters
    ----------
    parameters : BiophysicalParameters, optional
        The defaults if missing. `noise_seed` is ignored.
    seeds : sequence of int
        One per trial.
    progress : callable, optional
        Called with the fraction of all trials done, in [0, 1].

    Raises
    ------
    ParameterError, SimulationError
        As `simulate_biophysical`; or there is no seed.
    """
    if not seeds:
        raise ParameterError("no seeds are given; give at least one")
    start = parameters or BiophysicalParameters()
    progress(0.0)
    setting = _prepare(start)
    trials = [
        _simulate_trial(
            setting,
            start.override({"noise_seed": seed}),
            part_of(progress, done, len(seeds)),
        )
        for done, seed in enumerate(seeds)
    ]
    progress(1.0)
    return stack_trials(trials, list(VARIABLES), seeds)


def find_rest(parameters: BiophysicalParameters) -> dict[str, float]:
    """The resting values of all variables of a single process, without transmitter and exchange.

    Raises
    ------
    SimulationError
        Calcium still changes after a long time.
    """
    names = constants_of(parameters.calcium, parameters.ip3, parameters.receptors)
    start = {"calcium": 0.05, "availability": 0.9, "ip3": 0.05}
    times = np.append(0, np.arange(SETTLING, SETTLING + 100))
    found = solve(PROCESS, names | {"transmitter": 0.0, "exchange": 0.0}, start, times)
    low, high = found["calcium"][1:].min(), found["calcium"][1:].max()
    if high - low > 1e-6:
        raise SimulationError(
            f"calcium does not come to rest in silence but ranges from {low:.3g} to {high:.3g} umol/L; "
            "lower plc_delta_rate"
        )
    return {name: float(values[-1]) for name, values in found.items()}


def measure_influence(parameters: BiophysicalParameters, coupling: Coupling, rest: dict[str, float]) -> Array:
    """Influence (source, post, pre), dimensionless, of IP3 at each source on IP3 at each synapse.

    The steady answer, around rest, to a small production of IP3, times the phosphatase's rate.
    """
    weights = parameters.gliotransmission.ip3_diffusion * as_matrix(coupling.dense())
    names = constants_of(parameters.calcium, parameters.ip3, parameters.receptors) | {"transmitter": 0.0}
    count = len(weights)
    state = np.repeat(np.array([rest[name] for name in PROCESS.rates])[:, None], count, axis=1)
    ip3 = list(PROCESS.rates).index("ip3")

    def rate(flat: Array) -> Array:
        now = flat.reshape(state.shape)
        exchange = weights @ now[ip3] - weights.sum(axis=1) * now[ip3]
        return PROCESS.with_constants({**names, "exchange": exchange})(now).ravel()

    rows = slice(ip3 * count, (ip3 + 1) * count)
    responses = response(jacobian(rate, state.ravel()), np.eye(state.size))[rows, rows]
    influence: Array = parameters.ip3.phosphatase_rate * responses
    return influence.T.reshape(-1, *coupling.shape)


@dataclass(frozen=True, eq=False)
class _Setting:
    """What all trials share: the state `rest` in which they start, and what their traces store beside the states."""

    geometry: Geometry
    job: Job
    rest: dict[str, float]
    sources: Sequence[tuple[int, int]]
    influence: Array
    target: str


def _prepare(parameters: BiophysicalParameters) -> _Setting:
    check_installed()
    geometry = build_geometry(parameters.network)
    require_dense(geometry.shape)
    coupling = build_coupling(geometry, parameters.network)
    rest = find_rest(parameters)
    return _Setting(
        geometry,
        _job(parameters, coupling),
        rest,
        sources_to_store(geometry.shape),
        measure_influence(parameters, coupling, rest),
        choose_target(parameters.solver.brian2_target),
    )


def _job(parameters: BiophysicalParameters, coupling: Coupling) -> Job:
    """The parts of a job that `build_traces` reads. Rates are empty, because `network.py` has the equations."""
    variables = tuple(
        Variable(label.removeprefix(f"{place}_"), place, "", meaning, symbol)
        for label, (_, place, _, meaning, symbol) in VARIABLES.items()
    )
    return Job(
        Model(variables, "", ""),
        parameters,
        coupling,
        build_intervals(parameters.protocol, *parameters.network.sizes),
        parameters.recording.recording_interval,
        SolverParameters(time_step=parameters.solver.time_step),
    )


def _simulate_trial(setting: _Setting, parameters: BiophysicalParameters, progress: Progress) -> xr.Dataset:
    times, states = run_network(_network(parameters, setting), setting.target, progress)
    _require_finite(times, states)
    shape = setting.job.coupling.shape
    values = {
        label: states[name].reshape(times.size, *shape) if place is Place.SYNAPSE else states[name]
        for label, (name, place, *_) in VARIABLES.items()
    }
    settings = {"method": "rk4", "time_step": parameters.solver.time_step, "target": setting.target}
    solution = Solution(times, values, settings, ("brian2",))
    # build_traces reads only those parameters that both models have.
    known = cast(SimulationParameters, parameters)
    traces = build_traces(known, "brian2", setting.geometry, setting.job, solution, setting.sources, setting.influence)
    for label, (_, _, unit, *_) in VARIABLES.items():
        traces[label].attrs["units"] = unit
    return traces.assign_attrs(title="Simulated tripartite synapses, spiking model", seed=parameters.solver.noise_seed)


def _require_finite(times: Array, states: Mapping[str, Array]) -> None:
    for label, (name, *_) in VARIABLES.items():
        if not np.isfinite(states[name]).all():
            time = times[np.argwhere(~np.isfinite(states[name]))[0, 0]]
            raise SimulationError(f"Brian2 found {label} not finite at {time:g} s; choose a smaller time_step")


def _network(parameters: BiophysicalParameters, setting: _Setting) -> Network:
    """The network for Brian2: its structure, which decides what is compiled, and the values of one run."""
    step = common_step(interval.end - interval.start for interval in setting.job.intervals)
    inputs = _inputs(parameters.neurons, setting.job, step)
    numbers = {
        path[-1]: (value, quantity.unit) for path, value, quantity in parameters.parameters() if type(value) is float
    }
    values: dict[str, Any] = {name: value for name, (value, _) in numbers.items()}
    values |= {f"process.{name}": value for name, value in setting.rest.items()}
    values |= {
        "noise_seed": parameters.solver.noise_seed,
        "postsynaptic.potential": parameters.neurons.leak_potential,
        "synapse.resources": 1.0,
        "process.astrocyte_resources": 1.0,
        "exchange.weight": setting.job.coupling.dense().ravel(),
    }
    structure = _structure(parameters, setting.job) | {
        "parameters": {name: unit for name, (_, unit) in numbers.items()},
        "inputs": {name: rates.shape for name, rates in inputs.items()},
        "edge_step": step,
    }
    return Network(SCRIPT, structure, values | {f"{name}.values": rates for name, rates in inputs.items()})


def _inputs(neurons: NeuronParameters, job: Job, step: float) -> dict[str, Array]:
    """Rates of the Poisson neurons in Hz (step, neuron), constant during each `step` in s."""
    lengths = [round((interval.end - interval.start) / step) for interval in job.intervals]
    drive = np.repeat(np.stack([interval.presynaptic_drive for interval in job.intervals]), lengths, axis=0)
    driven: Array = np.asarray(drive.any(axis=1, keepdims=True), dtype=np.float64)
    return {
        "presynaptic_rates": np.maximum(neurons.presynaptic_rate * drive, neurons.silent_rate),
        "background_rates": neurons.background_rate * np.repeat(driven, job.coupling.shape[0], axis=1),
    }


def _structure(parameters: BiophysicalParameters, job: Job) -> dict[str, Any]:
    """The equations, sizes and times of the network; the caller adds parameters and inputs."""
    post, pre = job.coupling.shape
    return {
        "equations": {
            "resources": SYNAPSE,
            "signals": {"transmitter": G_CHI.rates["transmitter"], **PRESYNAPTIC_RECEPTORS},
            "process": {**PROCESS.inlined(), **GLIOTRANSMISSION},
        },
        "events": {"spike": ON_SPIKE.text, "calcium": ON_CALCIUM.text},
        "sizes": {"presynaptic": pre, "postsynaptic": post, "synapse": post * pre, "process": post * pre},
        "plasticity": parameters.plasticity.kind,
        "delays": parameters.plasticity.delays,
        "recorded": RECORDED,
        "duration": job.intervals[-1].end,
        "recording_interval": job.recording_interval,
        "time_step": parameters.solver.time_step,
    }
