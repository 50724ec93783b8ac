"""The spiking model of tripartite synapses, as traces with the variables of the rate model's.

| trace | here |
| --- | --- |
| presynaptic, postsynaptic activity | rate of spikes over a window, Hz |
| synaptic facilitation | coincidence of spikes, raised by gliotransmission |
| short-term process | IP3 of the astrocytic process, in umol/L |
| long-term process | slow variable that a Hill function of facilitation drives, or follows synaptic efficacy |
| coupling | weights of the exchange of IP3 |
| influence | answer of IP3 at rest to a small production of it, per production that raises it by 1 without calcium |

Beyond them it holds `calcium` and `presynaptic_receptors`. After Stimberg, Goodman, Brette and De Pittà 2019,
doi:10.1101/198366; coincidence and long-term process are ours. Poisson spikes make increments noisy: they decrease in
the mean of seeds, not in every run, so that their law is to be fitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import xarray as xr

from astro_sim.biophysics.calcium import PROCESS
from astro_sim.biophysics.solve import solve
from astro_sim.biophysics.spiking.parameters import BiophysicalParameters
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
"""Each trace: its name in the network, its place, unit, meaning and symbol."""

SETTLING = 2000.0


def simulate_biophysical(
    parameters: BiophysicalParameters | None = None, seed: int | None = None, progress: Progress = ignore_progress
) -> xr.Dataset:
    """Run the spiking model in Brian2 and return its traces, as `astro_sim.runs.traces` describes them.

    Parameters
    ----------
    seed : int, optional
        In place of `noise_seed`; equal seeds give equal traces.
    progress : callable, optional
        Told the fraction done, in [0, 1].

    Raises
    ------
    SimulationError
        Brian2 is not installed or failed, or a process has no rest.
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
    """Run the spiking model once for each seed, all in one compiled network, and return the traces of all trials.

    What the noise changes has `trial` as its first axis; `noise_seed` (trial) tells the seeds. Parameters and seed
    among the attributes are those of the first trial.

    Parameters
    ----------
    parameters : BiophysicalParameters, optional
        Without them the defaults; `noise_seed` is not read.
    progress : callable, optional
        Told the fraction of all trials done, in [0, 1].

    Raises
    ------
    ParameterError, SimulationError
        As `simulate_biophysical`; or there is no seed.
    """
    if not seeds:
        raise ParameterError("no seeds are given; trials need at least one")
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
    """Values of all variables of a lone process in silence.

    Raises
    ------
    SimulationError
        Calcium has not come to rest after a long time.
    """
    names = constants_of(parameters.calcium, parameters.ip3, parameters.receptors)
    start = {"calcium": 0.05, "availability": 0.9, "ip3": 0.05}
    times = np.append(0, np.arange(SETTLING, SETTLING + 100))
    found = solve(PROCESS, names | {"transmitter": 0.0, "exchange": 0.0}, start, times)
    low, high = found["calcium"][1:].min(), found["calcium"][1:].max()
    if high - low > 1e-6:
        raise SimulationError(
            f"calcium does not rest in silence but goes from {low:.3g} to {high:.3g} umol/L; lower plc_delta_rate"
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
    """What all trials share: `rest` is where they start, `influence` and `sources` are stored with their traces."""

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
    """What `build_traces` reads of a run; the rates of the variables stand in the network's script."""
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
    for label, (name, *_) in VARIABLES.items():
        if not np.isfinite(states[name]).all():
            time = times[np.argwhere(~np.isfinite(states[name]))[0, 0]]
            raise SimulationError(f"Brian2 found {label} not finite at {time:g} s; choose a smaller time_step")
    shape = setting.job.coupling.shape
    values = {
        label: states[name].reshape(times.size, *shape) if place is Place.SYNAPSE else states[name]
        for label, (name, place, *_) in VARIABLES.items()
    }
    settings = {"method": "rk4", "time_step": parameters.solver.time_step, "target": setting.target}
    solution = Solution(times, values, settings, ("brian2",))
    # Of parameters, build_traces reads the parts that both models have.
    known = cast(SimulationParameters, parameters)
    traces = build_traces(known, "brian2", setting.geometry, setting.job, solution, setting.sources, setting.influence)
    for label, entry in VARIABLES.items():
        traces[label].attrs["units"] = entry[2]
    return traces.assign_attrs(title="Simulated tripartite synapses, spiking model", seed=parameters.solver.noise_seed)


def _network(parameters: BiophysicalParameters, setting: _Setting) -> Network:
    neurons, intervals = parameters.neurons, setting.job.intervals
    step = common_step(interval.end - interval.start for interval in intervals)
    lengths = [round((interval.end - interval.start) / step) for interval in intervals]
    drive = np.repeat(np.stack([interval.presynaptic_drive for interval in intervals]), lengths, axis=0)
    driven: Array = np.asarray(drive.any(axis=1, keepdims=True), dtype=np.float64)
    post, pre = setting.job.coupling.shape
    inputs = {
        "presynaptic_rates": np.maximum(neurons.presynaptic_rate * drive, neurons.silent_rate),
        "background_rates": neurons.background_rate * np.repeat(driven, post, axis=1),
    }
    numbers = {
        path[-1]: (value, quantity.unit) for path, value, quantity in parameters.parameters() if type(value) is float
    }
    structure = {
        "process": PROCESS.inlined(),
        "parameters": {name: unit for name, (_, unit) in numbers.items()},
        "sizes": {"presynaptic": pre, "postsynaptic": post, "synapse": post * pre, "process": post * pre},
        "plasticity": parameters.plasticity.kind,
        "delays": parameters.plasticity.delays,
        "recorded": RECORDED,
        "inputs": {name: values.shape for name, values in inputs.items()},
        "duration": intervals[-1].end,
        "edge_step": step,
        "recording_interval": setting.job.recording_interval,
        "time_step": parameters.solver.time_step,
    }
    values = {name: value for name, (value, _) in numbers.items()}
    values |= {f"process.{name}": value for name, value in setting.rest.items()}
    values |= {
        "noise_seed": parameters.solver.noise_seed,
        "postsynaptic.potential": neurons.leak_potential,
        "synapse.resources": 1.0,
        "process.astrocyte_resources": 1.0,
        "exchange.weight": setting.job.coupling.dense().ravel(),
    }
    return Network(SCRIPT, structure, values | {f"{name}.values": array for name, array in inputs.items()})
