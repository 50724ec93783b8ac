"""The network of a rate model in Brian2, in the form that `worker.py` reads."""

from collections.abc import Callable, Mapping
from typing import Any

import brian2
import numpy as np

FUNCTIONS: dict[str, Any] = {}


def build(structure: Mapping[str, Any], declare: Callable[..., str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Build neurons, synapses, and the coupling as synapses between synapses; return groups and connections.

    The order of synapses is that of a raveled (post, pre) array.
    """
    post, pre = structure["sizes"]["postsynaptic"], structure["sizes"]["presynaptic"]
    presynaptic = rates(structure, "presynaptic") + "\ndrive : 1"
    postsynaptic = rates(structure, "postsynaptic") + "\ndrive : 1\nsynaptic_input : 1"
    synapse = (
        rates(structure, "synapse", "(clock-driven)")
        + f"\nsynaptic_input_post = {structure['synaptic_input']} : 1 (summed)"
        + "\ncoupled_input : 1\ncoupled_signal : 1"
    )
    coupling = "coupling : 1\ncoupled_input_post = coupling * coupled_signal_pre : 1 (summed)"
    groups: dict[str, Any] = {}
    for name, size, equations in (("presynaptic", pre, presynaptic), ("postsynaptic", post, postsynaptic)):
        groups[name] = brian2.NeuronGroup(size, declare(equations), method=structure["method"], name=name)
    groups["synapse"] = brian2.Synapses(
        groups["presynaptic"],
        groups["postsynaptic"],
        declare(synapse, structure["coupled_signal"]),
        method=structure["method"],
        name="synapse",
    )
    # Computed once per synapse here; inside the sum it would be computed once per coupling.
    groups["synapse"].run_regularly(f"coupled_signal = {structure['coupled_signal']}", when="before_groups")
    groups["coupling"] = brian2.Synapses(groups["synapse"], groups["synapse"], coupling, name="coupling")
    for name in ("presynaptic", "postsynaptic", "synapse"):
        change_at_edges(structure, name, groups[name])
    target, source = np.divmod(np.arange((post * pre) ** 2), post * pre)
    connections = {
        "synapse": (np.tile(np.arange(pre), post), np.repeat(np.arange(post), pre)),
        "coupling": (source, target),
    }
    return groups, connections


def rates(structure: Mapping[str, Any], place: str, flag: str = "") -> str:
    """The differential equations of the variables at `place`, in Brian2's syntax."""
    variables = (variable for variable in structure["variables"] if variable["place"] == place)
    return "\n".join(f"d{variable['name']}/dt = {variable['rate']} : 1 {flag}" for variable in variables)


def change_at_edges(structure: Mapping[str, Any], place: str, group: Any) -> None:
    """Set the drive and restart variables at the edges of the stimulus, after the values there are stored."""
    restarting = [v["name"] for v in structure["variables"] if v["place"] == place and v["restarts"]]
    edge = [f"{name} = {name} * kept_at_edge(t)" for name in restarting]
    if place != "synapse":
        # Constant between edges: a drive that is a function of t would be evaluated beyond the edge within a step.
        edge.append(f"drive = {place}_drive(t, i)")
    if edge:
        group.run_regularly("\n".join(edge), dt=structure["edge_step"] * brian2.second, when="start", order=1)
