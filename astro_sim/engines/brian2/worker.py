"""Build, and where nothing is compiled also run, one network in Brian2.

    python worker.py SCRIPT TARGET FOLDER CACHE

reads structure.json in FOLDER. With target cpp_standalone it compiles the network there and leaves a program that needs
neither Brian2 nor Python; the structure holds no parameter's value, so that one program serves them all. With any other
target it reads values.npz as well and runs the network. Either way layout.json tells which file of a run holds what.

CACHE is where Cython keeps its modules. SCRIPT describes the network: `build(structure, declare)` returns its groups
and, for each of them that connects, the indices (i, j); `declare(equations, *code)` adds to equations the parameters
that they or the code name; `FUNCTIONS` are what the equations call. A process of its own, because Brian2 holds one
device a process and keeps global state; neither this file nor a script needs anything of this toolkit, so that they
start quickly.
"""

import functools
import json
import re
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import brian2
import numpy as np
from brian2.core.variables import ArrayVariable

UNITS = {"s": "second", "1/s": "Hz", "umol/L/s": "Hz", "L/umol/s": "Hz"}
"""Of parameters, as Brian2 knows them; it takes all others for plain numbers."""

# What decays towards 0 is cut off at 2e-308, because processors take many times longer for numbers below it.
NO_SUBNORMAL_NUMBERS = """
#ifdef __SSE2__
__builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040);
#endif
"""


def main(script: str, target: str, folder: Path, cache: str) -> None:
    """Build the network that `script` describes; run it, unless it is compiled to be run by others."""
    structure = json.loads((folder / "structure.json").read_text())
    prepare(target, folder, cache)
    brian2.defaultclock.dt = structure["time_step"] * brian2.second
    described = runpy.run_path(script)
    groups, connections = described["build"](structure, functools.partial(declare, structure["parameters"]))
    for name, (source, destination) in connections.items():
        # Index arrays, because connect() without them has been seen to make no synapses and go on.
        groups[name].connect(i=source, j=destination)
    inputs = {
        name: brian2.TimedArray(np.zeros(shape), dt=structure["edge_step"] * brian2.second, name=name)
        for name, shape in structure["inputs"].items()
    }
    monitors = record(structure, groups)
    network = brian2.Network(*groups.values(), *monitors.values(), clockwork(structure))
    if target != "cpp_standalone":
        assign(groups, inputs, dict(np.load(folder / "values.npz")))
    namespace = {**inputs, **described["FUNCTIONS"], "tell_time": tell_time}
    network.run(structure["duration"] * brian2.second, namespace=namespace)
    if target == "cpp_standalone":
        brian2.device.build(directory=str(folder / "build"), run=False, with_output=False)
    variables = results(structure, groups, monitors, connections)
    layout = {"results": {}, "settable": settable(groups, inputs)}
    for label, variable in variables.items():
        layout["results"][label] = (file_of(variable, label, target, folder), np.dtype(variable.dtype).str)
    (folder / "layout.json").write_text(json.dumps(layout))
    indices = {f"{end} {name}": pair[end == "j"] for name, pair in connections.items() for end in "ij"}
    np.savez(folder / "connections.npz", **indices)


def prepare(target: str, folder: Path, cache: str) -> None:
    """Set the device, and every preference that a user's own settings file could have changed."""
    brian2.prefs.reset_to_defaults()
    # Brian2's own flags allow -ffast-math and the processor's own instructions: another machine, another result.
    brian2.prefs["codegen.cpp.extra_compile_args_gcc"] = ["-w", "-O2", "-std=c++11"]
    if target == "cpp_standalone":
        brian2.set_device(target, directory=str(folder / "build"), build_on_run=False)
        brian2.device.insert_code("before_start", NO_SUBNORMAL_NUMBERS)
    else:
        brian2.prefs["codegen.target"] = target
        brian2.prefs["codegen.runtime.cython.cache_dir"] = cache


def declare(parameters: Mapping[str, str], equations: str, *code: str) -> str:
    """`equations` with the parameters declared that they or `code` name: as variables, no value is compiled in."""
    named = set(re.findall(r"\w+", " ".join((equations, *code))))
    lines = [
        f"{name} : {UNITS.get(unit, '1')} (shared, constant)" for name, unit in parameters.items() if name in named
    ]
    return "\n".join((equations, *lines))


def record(structure: Mapping[str, Any], groups: Mapping[str, Any]) -> dict[str, Any]:
    """A monitor for each recorded group; it sees the value at an edge before the edge changes it."""
    interval = structure["recording_interval"] * brian2.second
    return {
        name: brian2.StateMonitor(
            groups[name], variables, record=np.arange(structure["sizes"][name]), dt=interval, when="start", order=0
        )
        for name, variables in structure["recorded"].items()
    }


# Brian2's own report asks for the time before each object of each step, which takes longer than a small network.
@brian2.implementation("cpp", "double tell_time(const double now) { std::cout << now << std::endl; return 0; }")
@brian2.implementation("cython", "cdef double tell_time(double now):\n    print(now, flush=True)\n    return 0")
@brian2.check_units(now=brian2.second, result=1)
def tell_time(now: Any) -> float:
    """Print the simulated time, by which others see how far the run is."""
    print(float(now), flush=True)
    return 0


def clockwork(structure: Mapping[str, Any]) -> Any:
    """A group that tells the time whenever values are stored."""
    group = brian2.NeuronGroup(1, "told : 1", name="clockwork")
    group.run_regularly("told = tell_time(t)", dt=structure["recording_interval"] * brian2.second, when="end")
    return group


def settable(groups: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """Type and number of values of every variable, GROUP.VARIABLE, that a compiled network takes from a file."""
    found = {f"{name}.values": (array.values.dtype.str, array.values.size) for name, array in inputs.items()}
    for name, group in groups.items():
        for variable in own_variables(group):
            count = 1 if variable.scalar else len(group)
            found[f"{name}.{variable.name}"] = (np.dtype(variable.dtype).str, count)
    return found


def own_variables(group: Any) -> list[Any]:
    """The variables of `group` itself that may be written."""
    variables = [group.variables[name] for name in group.variables]
    return [
        variable
        for variable in variables
        if isinstance(variable, ArrayVariable)
        and not variable.read_only
        and getattr(variable.owner, "name", None) == group.name
    ]


def assign(groups: Mapping[str, Any], inputs: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Set inputs and variables; a value by the bare name of a variable is for all groups that have it."""
    for name, array in inputs.items():
        array.values[...] = values[f"{name}.values"]
    for name, group in groups.items():
        for variable in own_variables(group):
            value = values.get(f"{name}.{variable.name}", values.get(variable.name))
            if value is not None:
                setattr(group, f"{variable.name}_", value)


def results(
    structure: Mapping[str, Any], groups: Mapping[str, Any], monitors: Mapping[str, Any], connections: Mapping[str, Any]
) -> dict[str, Any]:
    """What is read of a run; last values are read from the groups, as monitors stop short of the end."""
    found = {}
    for name, variables in structure["recorded"].items():
        found["times"] = monitors[name].variables["t"]
        for variable in variables:
            found[f"stored {name}.{variable}"] = monitors[name].variables[variable]
            found[f"last {name}.{variable}"] = groups[name].variables[variable]
    for name in connections:
        found[f"i {name}"] = groups[name].variables["_synaptic_pre"]
        found[f"j {name}"] = groups[name].variables["_synaptic_post"]
    return found


def file_of(variable: Any, label: str, target: str, folder: Path) -> str:
    """Name of the file of `variable` among the results; where the network has run here, the file is written."""
    if target == "cpp_standalone":
        return str(brian2.device.get_array_filename(variable))
    (folder / "results").mkdir(exist_ok=True)
    np.asarray(variable.get_value()).tofile(folder / "results" / label)
    return label


def root_cause(error: BaseException) -> BaseException:
    """The error that the others were raised from: Brian2 wraps what it has to say in general words."""
    return root_cause(error.__cause__) if error.__cause__ else error


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4])
    except Exception as error:
        sys.exit(f"{type(root_cause(error)).__name__}: {root_cause(error)}")
