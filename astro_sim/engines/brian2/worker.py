"""Build one network in Brian2, and run it unless it is compiled to a program.

    python worker.py SCRIPT TARGET FOLDER CACHE JOBS

The network is described by structure.json in FOLDER. Target cpp_standalone compiles it in FOLDER, with at most JOBS
compilers at a time, to a program that needs neither Brian2 nor Python. The structure holds no values of parameters, so
one program serves all of them. Any other target also reads values.npz and runs the network; CACHE holds the modules of
Cython. Both write layout.json, which names the file of each result.

SCRIPT defines `build(structure, declare)`, which returns the groups and the indices (i, j) of each group of synapses.
`declare(equations, *code)` adds the parameters that equations or code name. `FUNCTIONS` holds the functions that the
equations call.

This is a separate process, because Brian2 has one device per process and keeps global state. This file and the scripts
import nothing of the toolkit, so that they start quickly.
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
"""Units of parameters as Brian2 names them. Values with another unit are passed as plain numbers."""

# Flush numbers below 2e-308 to 0: processors take many times longer for them, and decaying variables reach them.
NO_SUBNORMAL_NUMBERS = """
#ifdef __SSE2__
__builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040);
#endif
"""


def main(script: str, target: str, folder: Path, cache: str, jobs: int) -> None:
    """Build the network of `script`, run it unless it is compiled to a program, and describe its files."""
    structure = json.loads((folder / "structure.json").read_text())
    prepare(target, folder, cache, jobs)
    brian2.defaultclock.dt = structure["time_step"] * brian2.second
    described = runpy.run_path(script)
    groups, connections = described["build"](structure, functools.partial(declare, structure["parameters"]))
    for name, (source, destination) in connections.items():
        # Index arrays: connect() without them was seen to make no synapses, without an error.
        groups[name].connect(i=source, j=destination)
    inputs = {
        name: brian2.TimedArray(np.zeros(shape), dt=structure["edge_step"] * brian2.second, name=name)
        for name, shape in structure["inputs"].items()
    }
    monitors = record(structure, groups)
    network = brian2.Network(*groups.values(), *monitors.values(), clockwork(structure))
    if target != "cpp_standalone":
        assign(groups, inputs, dict(np.load(folder / "values.npz")))
    namespace = {**inputs, **described["FUNCTIONS"], "print_time": print_time}
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


def prepare(target: str, folder: Path, cache: str, jobs: int) -> None:
    """Set the device and the preferences; those of the user's own settings file do not count."""
    brian2.prefs.reset_to_defaults()
    # Brian2's default flags include -ffast-math and instructions of this processor: results would differ by machine.
    brian2.prefs["codegen.cpp.extra_compile_args_gcc"] = ["-w", "-O2", "-std=c++11"]
    if target == "cpp_standalone":
        brian2.set_device(target, directory=str(folder / "build"), build_on_run=False)
        brian2.device.insert_code("before_start", NO_SUBNORMAL_NUMBERS)
        # Brian2's default is `make -j` without a limit, which loads a machine of 2 cores to 18.
        brian2.prefs["devices.cpp_standalone.extra_make_args_unix"] = [f"-j{jobs}"]
    else:
        brian2.prefs["codegen.target"] = target
        brian2.prefs["codegen.runtime.cython.cache_dir"] = cache


def declare(parameters: Mapping[str, str], equations: str, *code: str) -> str:
    """`equations` with declarations of the parameters that they or `code` name.

    They are declared as variables, so that no value is compiled in.
    """
    named = set(re.findall(r"\w+", " ".join((equations, *code))))
    lines = [
        f"{name} : {UNITS.get(unit, '1')} (shared, constant)" for name, unit in parameters.items() if name in named
    ]
    return "\n".join((equations, *lines))


def record(structure: Mapping[str, Any], groups: Mapping[str, Any]) -> dict[str, Any]:
    """A monitor for each recorded group. At an edge it records the value before the edge changes it."""
    interval = structure["recording_interval"] * brian2.second
    return {
        name: brian2.StateMonitor(
            groups[name], variables, record=np.arange(structure["sizes"][name]), dt=interval, when="start", order=0
        )
        for name, variables in structure["recorded"].items()
    }


# Brian2's own report reads the clock before each object of each step, which takes longer than a small network itself.
@brian2.implementation("cpp", "double print_time(const double now) { std::cout << now << std::endl; return 0; }")
@brian2.implementation("cython", "cdef double print_time(double now):\n    print(now, flush=True)\n    return 0")
@brian2.check_units(now=brian2.second, result=1)
def print_time(now: Any) -> float:
    """Print the simulated time, from which the parent process computes the progress."""
    print(float(now), flush=True)
    return 0


def clockwork(structure: Mapping[str, Any]) -> Any:
    """A group that prints the time whenever values are stored."""
    group = brian2.NeuronGroup(1, "printed : 1", name="clockwork")
    group.run_regularly("printed = print_time(t)", dt=structure["recording_interval"] * brian2.second, when="end")
    return group


def settable(groups: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """Type and number of values of every GROUP.VARIABLE that a compiled network reads from a file."""
    found = {f"{name}.values": (array.values.dtype.str, array.values.size) for name, array in inputs.items()}
    for name, group in groups.items():
        for variable in own_variables(group):
            count = 1 if variable.scalar else len(group)
            found[f"{name}.{variable.name}"] = (np.dtype(variable.dtype).str, count)
    return found


def own_variables(group: Any) -> list[Any]:
    """The writable variables of `group` itself, without those that it shares with other groups."""
    variables = [group.variables[name] for name in group.variables]
    return [
        variable
        for variable in variables
        if isinstance(variable, ArrayVariable)
        and not variable.read_only
        and getattr(variable.owner, "name", None) == group.name
    ]


def assign(groups: Mapping[str, Any], inputs: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Set inputs and variables; a value under the plain name of a variable applies to all groups that have it."""
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
    """The variables that hold the results of a run; last values are in the groups, as monitors stop before the end."""
    found = {}
    for name, variables in structure["recorded"].items():
        found["times"] = monitors[name].variables["t"]
        for variable in variables:
            found[f"stored {name}.{variable}"] = monitors[name].variables[variable]
            found[f"last {name}.{variable}"] = groups[name].variables[variable]
    for name in connections:
        # Brian2's public attributes i and j are values of this process; a compiled network writes the arrays behind.
        found[f"i {name}"] = groups[name].variables["_synaptic_pre"]
        found[f"j {name}"] = groups[name].variables["_synaptic_post"]
    return found


def file_of(variable: Any, label: str, target: str, folder: Path) -> str:
    """The name of the file with the values of `variable`; write the file if the network ran in this process."""
    if target == "cpp_standalone":
        return str(brian2.device.get_array_filename(variable))
    (folder / "results").mkdir(exist_ok=True)
    np.asarray(variable.get_value()).tofile(folder / "results" / label)
    return label


def root_cause(error: BaseException) -> BaseException:
    """The first error in the chain of causes; Brian2 wraps it in less specific ones."""
    return root_cause(error.__cause__) if error.__cause__ else error


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
    except Exception as error:
        sys.exit(f"{type(root_cause(error)).__name__}: {root_cause(error)}")
