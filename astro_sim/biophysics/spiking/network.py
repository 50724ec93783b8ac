"""The spiking network in Brian2, in the form that `engines/brian2/worker.py` runs.

The equations of the astrocyte and of release come with the structure (`biophysics.calcium` and `biophysics.release`,
which NumPy uses too). Those of neurons, facilitation and the long-term process are here. Numbers are in umol/L, s and
mV; only time has a unit in Brian2. Poisson spikes depend on seed, neuron and step alone, so that every target of Brian2
gives the same spikes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import brian2
import numpy as np

SENDER = """
dactivity/dt = -activity / rate_window : Hz
dspike_trace/dt = -spike_trace / coincidence_window : 1
rate : Hz
noise_seed : integer (shared, constant)
"""
BACKGROUND = """
rate : Hz
noise_seed : integer (shared, constant)
"""
ON_SPIKE = """
activity += 1 / rate_window
spike_trace += 1
"""
RECEIVER = """
dpotential/dt = (leak_potential - potential - excitation * potential) / membrane_time : 1 (unless refractory)
dexcitation/dt = -excitation / excitation_time : 1
dactivity/dt = -activity / rate_window : Hz
dspike_trace/dt = -spike_trace / coincidence_window : 1
"""
FACILITATION = """
dsynaptic_facilitation/dt = (-synaptic_facilitation + receptor_gain * presynaptic_receptors)
    / facilitation_time : 1 (clock-driven)
gliotransmitter : 1
"""
PLASTICITY = {
    "hill": """
dlong_term_process/dt = (-long_term_process + synaptic_facilitation**steepness
    / (half_facilitation**steepness + synaptic_facilitation**steepness)) / long_term_time_constant : 1 (clock-driven)
""",
    "graupner_brunel": """
dspine_calcium/dt = -spine_calcium / spine_calcium_time : 1 (clock-driven)
defficacy/dt = (potentiation_rate * (1 - efficacy) * int(spine_calcium > potentiation_threshold)
    - depression_rate * efficacy * int(spine_calcium > depression_threshold)
    - efficacy * (1 - efficacy) * (efficacy_boundary - efficacy)) / efficacy_time_constant : 1 (clock-driven)
dlong_term_process/dt = (-long_term_process + efficacy) / long_term_time_constant : 1 (clock-driven)
""",
}
"""Equations of the long-term process, by kind of plasticity."""
ON_SENDER = """
excitation_post += synaptic_weight * released
synaptic_facilitation += coincidence_gain * spike_trace_post
"""
"""Effects of a presynaptic spike after its release."""
ON_ARRIVAL = {"calcium": "spine_calcium += presynaptic_calcium * (1 + receptor_calcium * presynaptic_receptors)"}
"""Delayed effects of a presynaptic spike."""
ON_RECEIVER = "synaptic_facilitation += coincidence_gain * spike_trace_pre"
ON_RECEIVER_BY_KIND = {
    "hill": ON_RECEIVER,
    "graupner_brunel": f"{ON_RECEIVER}\nspine_calcium += postsynaptic_calcium",
}
PROCESS_INPUTS = """
transmitter : 1
exchange : Hz
"""
EXCHANGE = """
weight : 1
exchange_post = ip3_diffusion * weight * (ip3_pre - ip3_post) : Hz (summed)
"""

# SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195). Its state is a sum, so that its value number
# `step` needs no earlier value. The C, Cython and NumPy forms give the same bits.
SPLITMIX = """
#include <stdint.h>
static inline uint64_t scrambled(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}
static inline double uniform(int64_t seed, int64_t stream, int64_t neuron, int64_t step) {
    const uint64_t golden = 0x9E3779B97F4A7C15ULL;
    uint64_t state = scrambled((uint64_t)seed + golden);
    state = scrambled(state + (uint64_t)stream + golden);
    state = scrambled(state + (uint64_t)neuron + golden);
    return (double)(scrambled(state + ((uint64_t)step + 1) * golden) >> 11) / 9007199254740992.0;
}
"""
SPLITMIX_IN_CYTHON = f"""
cdef extern from *:
    '''{SPLITMIX}'''
    double uniform(long long, long long, long long, long long)
"""
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def scrambled(z: Any) -> Any:
    """The output function of SplitMix64 for unsigned integers of 64 bits, any shape."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@brian2.implementation("cpp", SPLITMIX)
@brian2.implementation("cython", SPLITMIX_IN_CYTHON)
@brian2.check_units(seed=1, stream=1, neuron=1, step=1, result=1)
def uniform(seed: Any, stream: Any, neuron: Any, step: Any) -> Any:
    """A random number in [0, 1) with 53 random bits, for each `neuron` and `step`; NumPy form of the C code above."""
    with np.errstate(over="ignore"):
        state = GOLDEN * np.uint64(0)
        for part in (seed, stream, neuron):
            state = scrambled(state + np.asarray(part).astype(np.uint64) + GOLDEN)
        bits = scrambled(state + (np.asarray(step).astype(np.uint64) + np.uint64(1)) * GOLDEN)
    return (bits >> np.uint64(11)) / 2.0**53


FUNCTIONS = {"uniform": uniform}


def build(structure: Mapping[str, Any], declare: Callable[..., str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The groups of the network (neurons, synapses, processes), and the indices (i, j) of their connections."""
    groups = build_neurons(structure, declare)
    groups["synapse"] = build_synapses(structure, groups, declare)
    groups |= build_process(structure, groups["synapse"], declare)
    post, pre = structure["sizes"]["postsynaptic"], structure["sizes"]["presynaptic"]
    neurons, synapses = np.arange(post), np.arange(post * pre)
    target, source = np.divmod(np.arange(synapses.size**2), synapses.size)
    connections = {
        "noise": (neurons, neurons),
        # All synapses of the first postsynaptic neuron, then those of the second: the order of traces (post, pre).
        "synapse": (np.tile(np.arange(pre), post), np.repeat(neurons, pre)),
        "transmitter": (synapses, synapses),
        "gliotransmitter": (synapses, synapses),
        "exchange": (source, target),
    }
    return groups, connections


def build_neurons(structure: Mapping[str, Any], declare: Callable[..., str]) -> dict[str, Any]:
    """Presynaptic and postsynaptic neurons, and the background input of the latter."""
    post, pre = structure["sizes"]["postsynaptic"], structure["sizes"]["presynaptic"]
    refractory: Any = "refractory_time"
    reset = f"potential = leak_potential{ON_SPIKE}"
    sender, receiver = declare(SENDER, ON_SPIKE), declare(RECEIVER, reset, refractory, "threshold_potential")
    groups: dict[str, Any] = {
        "presynaptic": brian2.NeuronGroup(
            pre, sender, threshold=poisson(0), reset=ON_SPIKE, method="rk4", name="presynaptic"
        ),
        "postsynaptic": brian2.NeuronGroup(
            post,
            receiver,
            threshold="potential > threshold_potential",
            reset=reset,
            refractory=refractory,
            method="rk4",
            name="postsynaptic",
        ),
        "background": brian2.NeuronGroup(post, BACKGROUND, threshold=poisson(1), name="background"),
    }
    for place in ("presynaptic", "background"):
        edge = structure["edge_step"] * brian2.second
        groups[place].run_regularly(f"rate = {place}_rates(t, i) * Hz", dt=edge, when="start", order=1)
    on_background = "excitation_post += background_weight"
    groups["noise"] = brian2.Synapses(
        groups["background"], groups["postsynaptic"], declare("", on_background), on_pre=on_background, name="noise"
    )
    return groups


def poisson(stream: int) -> str:
    """The threshold condition of neurons that spike at random; each group draws from its own stream."""
    return f"uniform(noise_seed, {stream}, i, t_in_timesteps) < rate * dt"


def build_synapses(structure: Mapping[str, Any], groups: Mapping[str, Any], declare: Callable[..., str]) -> Any:
    """All synapses: release, facilitation and the long-term process."""
    kind, delays = structure["plasticity"], structure["delays"]
    # Brian2 solves the resources exactly from spike to spike; what other groups read must be stepped.
    equations = differential(structure["equations"]["resources"], "(event-driven)")
    equations += differential(structure["equations"]["signals"], "(clock-driven)")
    on_sender = {"pre": structure["events"]["spike"] + ON_SENDER} | {name: ON_ARRIVAL[name] for name in delays}
    return brian2.Synapses(
        groups["presynaptic"],
        groups["postsynaptic"],
        declare(equations + FACILITATION + PLASTICITY[kind], *on_sender.values(), ON_RECEIVER_BY_KIND[kind]),
        on_pre=on_sender,
        on_post=ON_RECEIVER_BY_KIND[kind],
        delay={name: delay * brian2.second for name, delay in delays.items()},
        method="rk4",
        name="synapse",
    )


def build_process(structure: Mapping[str, Any], synapses: Any, declare: Callable[..., str]) -> dict[str, Any]:
    """An astrocytic process at each synapse, and the exchange of IP3 between them."""
    equations = differential(structure["equations"]["process"])
    # As threshold and refractoriness: the process releases once, and again only after calcium has fallen below.
    high: Any = "calcium > calcium_threshold"
    on_calcium = structure["events"]["calcium"]
    process = brian2.NeuronGroup(
        structure["sizes"]["process"],
        declare(equations + PROCESS_INPUTS, on_calcium, high),
        threshold=high,
        refractory=high,
        reset=on_calcium,
        method="rk4",
        name="process",
    )
    groups: dict[str, Any] = {"process": process}
    for name, source, target in (("transmitter", synapses, process), ("gliotransmitter", process, synapses)):
        groups[name] = brian2.Synapses(source, target, f"{name}_post = {name}_pre : 1 (summed)", name=name)
    groups["exchange"] = brian2.Synapses(process, process, declare(EXCHANGE), name="exchange")
    return groups


def differential(rates: Mapping[str, str], flag: str = "") -> str:
    """Differential equations in Brian2's syntax, from the time derivative of each variable."""
    return "".join(f"d{name}/dt = {rate} : 1 {flag}\n" for name, rate in rates.items())
