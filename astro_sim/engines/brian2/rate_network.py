"""The network of a rate model in Brian2, as `worker.py` wants it described."""

from collections.abc import Callable, Mapping
from typing import Any

import brian2
import numpy as np

FUNCTIONS: dict[str, Any] = {}


def build(structure: Mapping[str, Any], declare: Callable[..., str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Neurons, synapses, and their coupling as synapses between synapses; and who is connected to whom."""
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
    # Once for each synapse, rather than once for each of its couplings.
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
    """The differential equations of the variables at `place`, as Brian2 reads them."""
    variables = (variable for variable in structure["variables"] if variable["place"] == place)
    return "\n".join(f"d{variable['name']}/dt = {variable['rate']} : 1 {flag}" for variable in variables)


def change_at_edges(structure: Mapping[str, Any], place: str, group: Any) -> None:
    """Let drive and restarts happen at the edges of the stimulus, after the value there has been stored."""
    restarting = [v["name"] for v in structure["variables"] if v["place"] == place and v["restarts"]]
    edge = [f"{name} = {name} * kept_at_edge(t)" for name in restarting]
    if place != "synapse":
        # The drive is a constant between edges, never a function of t, which a solver would look up beyond an edge.
        edge.append(f"drive = {place}_drive(t, i)")
    if edge:
        group.run_regularly("\n".join(edge), dt=structure["edge_step"] * brian2.second, when="start", order=1)
