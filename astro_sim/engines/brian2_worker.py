"""Run one job in Brian2: `python brian2_worker.py FOLDER` reads job.json and job.npz there and writes states.npz.

A process of its own, because Brian2 holds one device a process and keeps global state; a script that needs nothing of
this toolkit, so that it starts quickly. The only file that imports Brian2.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import brian2
import numpy as np

UNITS = {"1": 1, "s": brian2.second}


def main(folder: Path) -> None:
    """Build the network of the job in `folder`, run it once from start to end and write what was stored."""
    job = json.loads((folder / "job.json").read_text())
    arrays = dict(np.load(folder / "job.npz"))
    prepare(folder, job["target"])
    groups = build_groups(job, arrays)
    network, monitors = build_network(job, arrays, groups)
    network.run(job["duration"] * brian2.second, namespace=namespace(job, arrays))
    if job["target"] == "cpp_standalone":
        brian2.device.build(directory=str(folder / "build"), run=True, with_output=True)
    check_connections(groups, arrays["coupling"])
    np.savez(folder / "states.npz", **collect(job, groups, monitors))


def prepare(folder: Path, target: str) -> None:
    """Set the device, and every preference that a user's own settings file could have changed."""
    brian2.prefs.reset_to_defaults()
    # Brian2's own flags allow -ffast-math and the processor's own instructions: another machine, another result.
    brian2.prefs["codegen.cpp.extra_compile_args_gcc"] = ["-w", "-O2", "-std=c++11"]
    if target == "cpp_standalone":
        brian2.set_device(target, directory=str(folder / "build"), build_on_run=False)
    else:
        brian2.prefs["codegen.target"] = target


def build_groups(job: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Neurons, synapses and their coupling."""
    post, pre = arrays["coupling"].shape[:2]
    options = {"method": job["method"]}
    groups: dict[str, Any] = {
        "presynaptic": brian2.NeuronGroup(pre, rates(job, "presynaptic") + "\ndrive : 1", **options),
        "postsynaptic": brian2.NeuronGroup(
            post, rates(job, "postsynaptic") + "\ndrive : 1\nsynaptic_input : 1", **options
        ),
    }
    synaptic_input = f"\nsynaptic_input_post = {job['synaptic_input']} : 1 (summed)"
    signal = f"\ncoupled_input : 1\ncoupled_signal = {job['coupled_signal']} : 1"
    groups["synapse"] = brian2.Synapses(
        groups["presynaptic"],
        groups["postsynaptic"],
        rates(job, "synapse", "(clock-driven)") + synaptic_input + signal,
        **options,
    )
    # Index arrays, because connect() without them has been seen to make no synapses and go on.
    groups["synapse"].connect(i=np.tile(np.arange(pre), post), j=np.repeat(np.arange(post), pre))
    groups["coupling"] = couple(groups["synapse"], arrays["coupling"])
    return groups


def couple(synapses: Any, tensor: Any) -> Any:
    """The coupling tensor as synapses between synapses."""
    coupling = brian2.Synapses(
        synapses,
        synapses,
        "coupling : 1\ncoupled_input_post = coupling * coupled_signal_pre : 1 (summed)",
    )
    count = tensor.shape[0] * tensor.shape[1]
    target, source = np.divmod(np.arange(count**2), count)
    coupling.connect(i=source, j=target)
    coupling.coupling = tensor.ravel()
    return coupling


def rates(job: Mapping[str, Any], place: str, flag: str = "") -> str:
    """The differential equations of the variables at `place`, as Brian2 reads them."""
    variables = (variable for variable in job["variables"] if variable["place"] == place)
    return "\n".join(f"d{variable['name']}/dt = {variable['rate']} : 1 {flag}" for variable in variables)


def build_network(
    job: Mapping[str, Any], arrays: Mapping[str, Any], groups: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """All objects with their clocks; a monitor sees the value at an edge before the edge changes it."""
    brian2.defaultclock.dt = job["time_step"] * brian2.second
    sizes = {"presynaptic": arrays["coupling"].shape[1], "postsynaptic": arrays["coupling"].shape[0]}
    sizes["synapse"] = sizes["presynaptic"] * sizes["postsynaptic"]
    monitors = {}
    for place, size in sizes.items():
        names = [variable["name"] for variable in job["variables"] if variable["place"] == place]
        if names:
            interval = job["recording_interval"] * brian2.second
            monitors[place] = brian2.StateMonitor(
                groups[place], names, record=np.arange(size), dt=interval, when="start", order=0
            )
        restarting = [v["name"] for v in job["variables"] if v["place"] == place and v["restarts"]]
        edge = [f"{name} = {name} * kept_at_edge(t)" for name in restarting]
        if place != "synapse":
            edge.append(f"drive = {place}_drive(t, i)")
        # The drive is a constant between edges, never a function of t, which a solver would look up beyond an edge.
        if edge:
            groups[place].run_regularly("\n".join(edge), dt=job["edge_step"] * brian2.second, when="start", order=1)
    return brian2.Network(*groups.values(), *monitors.values()), monitors


def namespace(job: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
    """What the equations name: parameters with their units, and what changes at the edges of the stimulus."""
    step = job["edge_step"] * brian2.second
    names = {name: value * UNITS[unit] for name, (value, unit) in job["parameters"].items()}
    for name in ("presynaptic_drive", "postsynaptic_drive", "kept_at_edge"):
        names[name] = brian2.TimedArray(arrays[name], dt=step)
    return names


def check_connections(groups: Mapping[str, Any], coupling: Any) -> None:
    """Raise `RuntimeError` where Brian2 lost or reordered connections."""
    post, pre = coupling.shape[:2]
    synapse = np.asarray(groups["synapse"].j) * pre + np.asarray(groups["synapse"].i)
    links = np.asarray(groups["coupling"].j) * post * pre + np.asarray(groups["coupling"].i)
    for found, wanted in ((synapse, post * pre), (links, (post * pre) ** 2)):
        if not np.array_equal(found, np.arange(wanted)):
            raise RuntimeError(f"Brian2 made {found.size} connections where {wanted} were asked for, or in other order")


def collect(job: Mapping[str, Any], groups: Mapping[str, Any], monitors: Mapping[str, Any]) -> dict[str, Any]:
    """Stored times, and values (time, element) by label; the last is read from the group, as monitors stop short."""
    states = {}
    for variable in job["variables"]:
        place, name = variable["place"], variable["name"]
        stored = np.asarray(getattr(monitors[place], name)).T
        states[variable["label"]] = np.vstack([stored, np.asarray(getattr(groups[place], name)[:])])
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
