"""Run the spiking model in Brian2: `python spiking_worker.py FOLDER` reads job.json and job.npz, writes states.npz.

A process of its own and a script that needs nothing of this toolkit, for the reasons of `engines/brian2_worker.py`.
Numbers are in umol/L, s and mV; only time has a unit here.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import brian2
import numpy as np

UNITS = {"s": brian2.second, "1/s": brian2.Hz, "umol/L/s": brian2.Hz, "L/umol/s": brian2.Hz}

SENDER = """
dactivity/dt = -activity / rate_window : Hz
dspike_trace/dt = -spike_trace / coincidence_window : 1
rate : Hz
"""
RECEIVER = """
dpotential/dt = (leak_potential - potential - excitation * potential) / membrane_time : 1 (unless refractory)
dexcitation/dt = -excitation / excitation_time : 1
dactivity/dt = -activity / rate_window : Hz
dspike_trace/dt = -spike_trace / coincidence_window : 1
"""
SYNAPSE = """
dused_share/dt = -facilitation_rate * used_share : 1 (event-driven)
dresources/dt = recovery_rate * (1 - resources) : 1 (event-driven)
dtransmitter/dt = -transmitter_clearance * transmitter : 1 (clock-driven)
dpresynaptic_receptors/dt = presynaptic_binding * gliotransmitter * (1 - presynaptic_receptors)
    - presynaptic_unbinding * presynaptic_receptors : 1 (clock-driven)
dsynaptic_facilitation/dt = (-synaptic_facilitation + receptor_gain * presynaptic_receptors)
    / facilitation_time : 1 (clock-driven)
dlong_term_process/dt = (-long_term_process + synaptic_facilitation**steepness
    / (half_facilitation**steepness + synaptic_facilitation**steepness)) / long_term_time_constant : 1 (clock-driven)
gliotransmitter : 1
"""
ON_SENDER = """
probability = release_probability + (modulated_probability - release_probability) * presynaptic_receptors
used_share += probability * (1 - used_share)
released = used_share * resources
resources -= released
transmitter += vesicle_volume_ratio * vesicle_transmitter * released
excitation_post += synaptic_weight * released
synaptic_facilitation += coincidence_gain * spike_trace_post
"""
PROCESS_INPUTS = """
dgliotransmitter/dt = -gliotransmitter_clearance * gliotransmitter : 1
dastrocyte_resources/dt = astrocyte_recovery * (1 - astrocyte_resources) : 1
transmitter : 1
exchange : Hz
"""
ON_CALCIUM = """
gliotransmitter += astrocyte_vesicles * astrocyte_release * astrocyte_resources
astrocyte_resources -= astrocyte_release * astrocyte_resources
"""


def main(folder: Path) -> None:
    """Build the network of the job in `folder`, run it once from start to end and write what was stored."""
    job = json.loads((folder / "job.json").read_text())
    arrays = dict(np.load(folder / "job.npz"))
    prepare(job, folder)
    groups = build_neurons(job, arrays)
    build_synapses(groups, arrays["coupling"])
    build_process(groups, job, arrays["coupling"])
    monitors = {
        place: brian2.StateMonitor(
            groups[place], names, record=np.arange(count), dt=job["recording_interval"] * brian2.second
        )
        for place, names, count in recorded(job, arrays["coupling"])
    }
    network = brian2.Network(*groups.values(), *monitors.values())
    network.run(job["duration"] * brian2.second, namespace=namespace(job, arrays))
    if job["target"] == "cpp_standalone":
        brian2.device.build(directory=str(folder / "build"), run=True, with_output=True)
    check_connections(groups, arrays["coupling"])
    np.savez(folder / "states.npz", **collect(job, arrays["coupling"], groups, monitors))


def prepare(job: Mapping[str, Any], folder: Path) -> None:
    """Set the device, the seed, and every preference that a user's own settings file could have changed."""
    brian2.prefs.reset_to_defaults()
    brian2.prefs["codegen.cpp.extra_compile_args_gcc"] = ["-w", "-O2", "-std=c++11"]
    if job["target"] == "cpp_standalone":
        brian2.set_device(job["target"], directory=str(folder / "build"), build_on_run=False)
    else:
        brian2.prefs["codegen.target"] = job["target"]
    brian2.defaultclock.dt = job["time_step"] * brian2.second
    brian2.seed(job["seed"])


def build_neurons(job: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Neurons that send, neurons that receive, and the background of these."""
    post, pre = arrays["coupling"].shape[:2]
    spike: dict[str, Any] = {"threshold": "rand() < rate * dt", "method": "rk4"}
    refractory: Any = "refractory_time"
    groups: dict[str, Any] = {
        "presynaptic": brian2.NeuronGroup(pre, SENDER, reset="activity += 1 / rate_window; spike_trace += 1", **spike),
        "postsynaptic": brian2.NeuronGroup(
            post,
            RECEIVER,
            threshold="potential > threshold_potential",
            reset="potential = leak_potential; activity += 1 / rate_window; spike_trace += 1",
            refractory=refractory,
            method="rk4",
        ),
        "background": brian2.NeuronGroup(post, "rate : Hz", threshold=spike["threshold"]),
    }
    groups["postsynaptic"].potential = job["parameters"]["leak_potential"][0]
    for place in ("presynaptic", "background"):
        edge = job["edge_step"] * brian2.second
        groups[place].run_regularly(f"rate = {place}_rates(t, i)", dt=edge, when="start")
    groups["noise"] = brian2.Synapses(
        groups["background"], groups["postsynaptic"], on_pre="excitation_post += background_weight"
    )
    groups["noise"].connect(i=np.arange(post), j=np.arange(post))
    return groups


def build_synapses(groups: dict[str, Any], coupling: Any) -> None:
    """All synapses, those of one postsynaptic neuron after the other."""
    post, pre = coupling.shape[:2]
    synapses = brian2.Synapses(
        groups["presynaptic"],
        groups["postsynaptic"],
        SYNAPSE,
        on_pre=ON_SENDER,
        on_post="synaptic_facilitation += coincidence_gain * spike_trace_pre",
        method="rk4",
    )
    synapses.connect(i=np.tile(np.arange(pre), post), j=np.repeat(np.arange(post), pre))
    synapses.resources = 1
    groups["synapse"] = synapses


def build_process(groups: dict[str, Any], job: Mapping[str, Any], coupling: Any) -> None:
    """An astrocytic process at each synapse, and the exchange of IP3 between them."""
    count = coupling.shape[0] * coupling.shape[1]
    equations = "\n".join(f"d{name}/dt = {rate} : 1" for name, rate in job["process"].items())
    high: Any = "calcium > calcium_threshold"
    process = brian2.NeuronGroup(
        count, equations + PROCESS_INPUTS, threshold=high, refractory=high, reset=ON_CALCIUM, method="rk4"
    )
    for name, value in job["rest"].items():
        setattr(process, name, value)
    process.astrocyte_resources = 1
    groups["process"] = process
    for name, source, target in (("transmitter", "synapse", "process"), ("gliotransmitter", "process", "synapse")):
        groups[name] = brian2.Synapses(groups[source], groups[target], f"{name}_post = {name}_pre : 1 (summed)")
        groups[name].connect(i=np.arange(count), j=np.arange(count))
    groups["exchange"] = brian2.Synapses(
        process,
        process,
        "weight : 1\nexchange_post = ip3_diffusion * weight * (ip3_pre - ip3_post) : Hz (summed)",
    )
    target, source = np.divmod(np.arange(count**2), count)
    groups["exchange"].connect(i=source, j=target)
    groups["exchange"].weight = coupling.ravel()


def recorded(job: Mapping[str, Any], coupling: Any) -> list[tuple[str, list[str], int]]:
    """Group, variables and number of elements of everything that is stored."""
    post, pre = coupling.shape[:2]
    sizes = {"presynaptic": pre, "postsynaptic": post, "synapse": post * pre, "process": post * pre}
    return [(place, names, sizes[place]) for place, names in job["recorded"].items()]


def namespace(job: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
    """What the equations name."""
    step = job["edge_step"] * brian2.second
    names = {name: value * UNITS.get(unit, 1) for name, (value, unit) in job["parameters"].items()}
    for place in ("presynaptic", "background"):
        names[f"{place}_rates"] = brian2.TimedArray(arrays[f"{place}_rates"] * brian2.Hz, dt=step)
    return names


def check_connections(groups: Mapping[str, Any], coupling: Any) -> None:
    """Raise `RuntimeError` where Brian2 lost connections."""
    post, pre = coupling.shape[:2]
    count = post * pre
    wanted = {"noise": post, "synapse": count, "transmitter": count, "gliotransmitter": count, "exchange": count**2}
    for name, number in wanted.items():
        if len(groups[name]) != number:
            raise RuntimeError(f"Brian2 made {len(groups[name])} connections of {name} where {number} were asked for")


def collect(
    job: Mapping[str, Any], coupling: Any, groups: Mapping[str, Any], monitors: Mapping[str, Any]
) -> dict[str, Any]:
    """Stored times, and values (time, element); the last is read from the group, as monitors stop short."""
    states = {}
    for place, names, _ in recorded(job, coupling):
        for name in names:
            stored = np.asarray(getattr(monitors[place], name)).T
            states[f"{place}_{name}"] = np.vstack([stored, np.asarray(getattr(groups[place], name)[:])])
        states["times"] = np.append(np.asarray(monitors[place].t / brian2.second), job["duration"])
    return states


def root_cause(error: BaseException) -> BaseException:
    """The error that the others were raised from: Brian2 wraps what it has to say in general words."""
    return root_cause(error.__cause__) if error.__cause__ else error


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except Exception as error:
        sys.exit(f"{type(root_cause(error)).__name__}: {root_cause(error)}")
