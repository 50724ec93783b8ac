"""The spiking model of tripartite synapses, as traces with the variables of the rate model's.

| trace | here |
| --- | --- |
| presynaptic, postsynaptic activity | rate of spikes over a window, Hz |
| synaptic facilitation | coincidence of spikes, raised by gliotransmission |
| short-term process | IP3 of the astrocytic process, in umol/L |
| long-term process | slow variable that a Hill function of facilitation drives |
| coupling | weights of the exchange of IP3 |
| influence | answer of IP3 at rest to a small production of it, per production that raises it by 1 without calcium |

Beyond them it holds `calcium` and `presynaptic_receptors`. After Stimberg, Goodman, Brette and De Pittà 2019,
doi:10.1101/198366; coincidence and long-term process are ours. Poisson spikes make increments noisy: they decrease in
the mean of seeds, not in every run, so that their law is to be fitted.
"""

import json
import tempfile
from pathlib import Path
from typing import Any, cast

import numpy as np
import xarray as xr

from astro_sim.arrays import Array
from astro_sim.biophysics.calcium import PROCESS
from astro_sim.biophysics.solve import solve
from astro_sim.biophysics.spiking_parameters import BiophysicalParameters
from astro_sim.biophysics.system import constants_of
from astro_sim.coupling import Coupling, as_matrix, build_coupling, require_dense, sources_to_store
from astro_sim.durations import common_step, multiples
from astro_sim.engines.brian2_engine import check_installed, choose_target, run_worker
from astro_sim.engines.job import Job, Progress, Solution
from astro_sim.equations import Model, Place, Variable
from astro_sim.errors import SimulationError
from astro_sim.geometry import build_geometry
from astro_sim.parameters import SimulationParameters, SolverParameters
from astro_sim.protocol import build_intervals
from astro_sim.traces import build_traces

WORKER = Path(__file__).with_name("spiking_worker.py")
RECORDED = {
    "presynaptic": ["activity"],
    "postsynaptic": ["activity"],
    "synapse": ["synaptic_facilitation", "presynaptic_receptors", "long_term_process"],
    "process": ["ip3", "calcium"],
}
VARIABLES = {
    "presynaptic_activity": ("presynaptic_activity", Place.PRE, "Hz", "presynaptic activity", "x_j"),
    "postsynaptic_activity": ("postsynaptic_activity", Place.POST, "Hz", "postsynaptic activity", "x_i"),
    "synaptic_facilitation": ("synapse_synaptic_facilitation", Place.SYNAPSE, "1", "synaptic facilitation", "s_ij"),
    "short_term_process": ("process_ip3", Place.SYNAPSE, "umol/L", "short-term astrocytic process: IP3", "p^s_ij"),
    "long_term_process": ("synapse_long_term_process", Place.SYNAPSE, "1", "long-term astrocytic process", "p^l_ij"),
    "calcium": ("process_calcium", Place.SYNAPSE, "umol/L", "calcium of the astrocytic process", "C"),
    "presynaptic_receptors": (
        "synapse_presynaptic_receptors",
        Place.SYNAPSE,
        "1",
        "share of presynaptic receptors bound to gliotransmitter",
        "Γ_S",
    ),
}
"""Each trace: its name in the worker, its place, unit, meaning and symbol."""

SETTLING = 2000.0
SLOPE_STEP = 1e-6


def simulate_biophysical(
    parameters: BiophysicalParameters | None = None, seed: int | None = None, progress: Progress | None = None
) -> xr.Dataset:
    """Run the spiking model in Brian2 and return its traces, as `astro_sim.traces` describes them.

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
    progress = progress or (lambda _: None)
    check_installed()
    network = parameters.network
    geometry = build_geometry(network)
    require_dense(geometry.shape)
    coupling = build_coupling(geometry, network)
    job = _job(parameters, coupling)
    rest = find_rest(parameters)
    progress(0.0)
    times, states, target = _run(parameters, job, rest)
    progress(1.0)
    settings = {"method": "rk4", "time_step": parameters.solver.time_step, "target": target}
    values = {label: states[entry[0]] for label, entry in VARIABLES.items()}
    solution = Solution(times, values, settings, ("brian2",))
    influence = measure_influence(parameters, coupling, rest)
    # Of parameters, build_traces reads the parts that both models have.
    known = cast(SimulationParameters, parameters)
    traces = build_traces(known, "brian2", geometry, job, solution, sources_to_store(geometry.shape), influence)
    for label, entry in VARIABLES.items():
        traces[label].attrs["units"] = entry[2]
    return traces.assign_attrs(title="Simulated tripartite synapses, spiking model", seed=parameters.solver.noise_seed)


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

    steps = SLOPE_STEP * np.eye(state.size)
    slope = np.stack([(rate(state.ravel() + step) - rate(state.ravel() - step)) for step in steps], axis=1)
    answer = -np.linalg.inv(slope / (2 * SLOPE_STEP))
    rows = slice(ip3 * count, (ip3 + 1) * count)
    influence: Array = parameters.ip3.phosphatase_rate * np.asarray(answer[rows, rows], dtype=np.float64)
    return influence.T.reshape(-1, *coupling.shape)


def _job(parameters: BiophysicalParameters, coupling: Coupling) -> Job:
    """What `build_traces` reads of a run; the rates of the variables stand in the worker."""
    variables = tuple(
        Variable(label.removeprefix(f"{place}_"), place, "", meaning, symbol)
        for label, (_, place, _, meaning, symbol) in VARIABLES.items()
    )
    return Job(
        Model(variables, "", ""),
        parameters,
        coupling,
        build_intervals(parameters.protocol, parameters.network),
        parameters.recording.recording_interval,
        SolverParameters(time_step=parameters.solver.time_step),
    )


def _run(parameters: BiophysicalParameters, job: Job, rest: dict[str, float]) -> tuple[Array, dict[str, Array], str]:
    """Stored times, values (time, ...) by the worker's names, and the target that ran."""
    target = choose_target()
    with tempfile.TemporaryDirectory(prefix="rmaat-brian2-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        _write_job(parameters, job, rest, target, folder)
        run_worker(folder, WORKER)
        with np.load(folder / "states.npz") as states:
            found = dict(states)
    times = multiples(job.recording_interval, job.intervals[-1].end)
    if found["times"].shape != times.shape:
        raise SimulationError(f"Brian2 stored {found['times'].size} times where {times.size} were asked for")
    for label, (name, *_) in VARIABLES.items():
        if not np.isfinite(found[name]).all():
            time = times[np.argwhere(~np.isfinite(found[name]))[0, 0]]
            raise SimulationError(f"Brian2 found {label} not finite at {time:g} s; choose a smaller time_step")
    shape = job.coupling.shape
    for place in ("synapse", "process"):
        for variable in RECORDED[place]:
            found[f"{place}_{variable}"] = found[f"{place}_{variable}"].reshape(times.size, *shape)
    return times, found, target


def _write_job(parameters: BiophysicalParameters, job: Job, rest: dict[str, float], target: str, folder: Path) -> None:
    neurons, intervals = parameters.neurons, job.intervals
    step = common_step(interval.end - interval.start for interval in intervals)
    lengths = [round((interval.end - interval.start) / step) for interval in intervals]
    drive = np.repeat(np.stack([interval.presynaptic_drive for interval in intervals]), lengths, axis=0)
    driven: Array = np.asarray(drive.any(axis=1, keepdims=True), dtype=np.float64)
    np.savez(
        folder / "job.npz",
        coupling=job.coupling.dense(),
        presynaptic_rates=np.maximum(neurons.presynaptic_rate * drive, neurons.silent_rate),
        background_rates=neurons.background_rate * np.repeat(driven, job.coupling.shape[0], axis=1),
    )
    content: dict[str, Any] = {
        "process": PROCESS.inlined(),
        "rest": rest,
        "recorded": RECORDED,
        "parameters": {
            path[-1]: (value, quantity.unit)
            for path, value, quantity in parameters.parameters()
            if isinstance(value, float)
        },
        "duration": intervals[-1].end,
        "edge_step": step,
        "recording_interval": job.recording_interval,
        "time_step": parameters.solver.time_step,
        "seed": parameters.solver.noise_seed,
        "target": target,
    }
    (folder / "job.json").write_text(json.dumps(content))
