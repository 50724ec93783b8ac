"""Checks of every equation of the rate model, one by one and all together.

One by one: with weight, feedback, gain and coupling 0, each equation but the synapse's product stands alone, and its
solution is a formula. Together: the driven steady state against a fixed point, and whole runs against the second
implementation in `reference`.
"""

import math
from collections.abc import Callable
from functools import cache, partial

import numpy as np
import xarray as xr

from astro_sim.parameter_set import SimulationParameters
from astro_sim.runs.simulate import simulate
from astro_sim.validation.check import Check, Kind, Origin
from astro_sim.validation.rate_model import default_traces
from astro_sim.validation.reference import INTERVAL, VARIABLES, ChangedModel, PlainModel
from rmaat.base.arrays import Array

FORMULA = Origin(Kind.CLOSED_FORM, "the equation, solved on paper, see docs/science.md")
FIXED_POINT = Origin(Kind.OWN_PROTOTYPE, "fixed point of the equations, iterated by code of its own")
SECOND = Origin(Kind.OWN_PROTOTYPE, "second implementation, integrated with DOP853 (astro_sim/validation/reference.py)")

# No two constants are equal, so that a check notices where one takes the place of another.
TAU_N, TAU_S, TAU_PS, TAU_PL = 0.8, 1.5, 2.5, 30.0
LAMBDA, BETA, GAMMA_S, GAMMA_L = 1.25, 0.9, 1.1, 0.7
PRE, POST, BIAS, SHORT_BIAS = 0.9, 0.6, 0.3, 0.2
ON, END = 40.0, 60.0
CONSTANTS = {
    "neuron_time_constant": TAU_N,
    "synapse_time_constant": TAU_S,
    "short_term_time_constant": TAU_PS,
    "long_term_time_constant": TAU_PL,
    "neuron_decay": LAMBDA,
    "synapse_decay": BETA,
    "short_term_decay": GAMMA_S,
    "long_term_decay": GAMMA_L,
}
ALONE = {
    "synaptic_weight": 0.0,
    "short_term_feedback": 0.0,
    "short_term_gain": 0.0,
    "coupling_strength": 0.0,
    "synapse_bias": BIAS,
    "short_term_bias": SHORT_BIAS,
    "presynaptic_pattern": [PRE, 0.0, 0.0],
    "postsynaptic_pattern": [POST, 0.0, 0.0],
    "run_duration": END,
    "cycle_duration": END,
    "stimulus_duration": ON,
}
DRIVEN, SILENT = {"post": 0, "pre": 0}, {"post": 1, "pre": 1}
"""Synapses of the two driven neurons, and of two silent ones, of the run with `ALONE`."""

WEIGHT, FEEDBACK, GAIN, STRENGTH, SYNAPSES = 0.7, 0.8, 0.4, 0.03, 9
LONG_ENOUGH = 1000.0
TOGETHER = {
    "synaptic_weight": WEIGHT,
    "short_term_feedback": FEEDBACK,
    "short_term_gain": GAIN,
    "coupling_strength": STRENGTH,
    "coupling_scale": 0.0,
    "synapse_bias": BIAS,
    "short_term_bias": SHORT_BIAS,
    "presynaptic_pattern": [PRE] * 3,
    "postsynaptic_pattern": [POST] * 3,
    "run_duration": LONG_ENOUGH,
    "cycle_duration": LONG_ENOUGH,
    "stimulus_duration": LONG_ENOUGH,
}
"""With scale 0 every synapse couples alike to the others, so that all synapses have the same state."""
SYMBOLS = dict(zip(VARIABLES[1:], "xspl", strict=True))

CHANGED = {
    "neuron_response": "rectified_tanh",
    "transmission": "linear_mean",
    "short_term_drive": "linear",
    "long_term_drive": "hill",
    "long_term_growth": "soft_bound",
    "layout": "grid",
    "presynaptic_neurons": 2,
    "postsynaptic_neurons": 4,
    "coupling_strength": 0.04,
    "coupling_scale": 0.8,
    "neuron_time_constant": 0.3,
    "synapse_time_constant": 0.7,
    "short_term_time_constant": 2.0,
    "long_term_time_constant": 60.0,
    "neuron_decay": 1.2,
    "synapse_decay": 1.5,
    "short_term_decay": 1.3,
    "long_term_decay": 0.7,
    "synaptic_weight": 0.9,
    "short_term_feedback": 0.6,
    "long_term_feedback": 0.1,
    "short_term_gain": 0.7,
    "half_activation": 0.4,
    "hill_exponent": 3.0,
    "synapse_bias": 0.02,
    "short_term_bias": -0.03,
    "presynaptic_pattern": [1.4, -0.5],
    "postsynaptic_pattern": [0.9, -1.1, 0.6, 0.3],
    "run_duration": 120.0,
    "cycle_duration": 40.0,
    "stimulus_duration": 15.0,
    "restart_fast_variables": False,
}
"""The parameters of `ChangedModel`, by their names in the simulator."""


@cache
def equations_alone() -> xr.Dataset:
    """Traces of a run in which no equation but the synapse's depends on another."""
    return simulate(SimulationParameters().override(CONSTANTS | ALONE))


def alone(variable: str, time: float, **place: int) -> float:
    """A variable at one time in s and one place of `equations_alone`."""
    return float(equations_alone()[variable].isel(place).sel(time=time, method="nearest"))


def approach(level: float, decay: float, tau: float, time: float) -> float:
    """The solution from 0 of `tau y' = -decay y + level` at `time`."""
    return level / decay * -math.expm1(-decay * time / tau)


def long_term_time() -> float:
    """The time constant in s with which the long-term process of a silent synapse approaches its limit."""
    limit = math.tanh(BIAS / BETA) / GAMMA_L
    early, late = (limit - alone("long_term_process", time, **SILENT) for time in (ON, END))
    return (END - ON) / math.log(early / late)


def steady_states(weight: float) -> dict[str, float]:
    """The fixed point under constant drive, by symbol; all synapses are alike."""
    x, s, p, sender = POST / LAMBDA, 0.0, 0.0, math.tanh(PRE / LAMBDA)
    for _ in range(1000):
        x = (weight * 3 * math.tanh(s) * sender + POST) / LAMBDA
        s = (math.tanh(x) * sender + FEEDBACK * math.tanh(p) + BIAS) / BETA
        p = (STRENGTH * (SYNAPSES - 1) * math.tanh(p) + GAIN * math.tanh(s) + SHORT_BIAS) / GAMMA_S
    return {"x": x, "s": s, "p": p, "l": math.tanh(s) / GAMMA_L}


@cache
def driven(weight: float) -> xr.Dataset:
    """The last state of a run under constant drive."""
    parameters = SimulationParameters().override(CONSTANTS | TOGETHER | {"synaptic_weight": weight})
    return simulate(parameters).isel(time=-1)


def steady(variable: str, weight: float = WEIGHT) -> float:
    """The mean of a variable over neurons or synapses in the driven steady state."""
    return float(driven(weight)[variable].mean())


def gain_by_synapses() -> float:
    """What the synapses add to postsynaptic activity in the driven steady state; negative if they inhibit."""
    return steady("postsynaptic_activity") - steady("postsynaptic_activity", 0.0)


def changed_run() -> xr.Dataset:
    """Traces of the network that `ChangedModel` writes a second time."""
    return simulate(SimulationParameters().override(CHANGED))


RUNS: dict[str, tuple[Callable[[], xr.Dataset], PlainModel]] = {
    "default network": (default_traces, PlainModel()),
    "changed network": (changed_run, ChangedModel()),
}
"""Each run, and the same network in the second implementation."""


@cache
def traces_of(name: str) -> xr.Dataset:
    """Traces of one of `RUNS`."""
    return RUNS[name][0]()


@cache
def second_solution(name: str) -> dict[str, Array]:
    """The variables of one of `RUNS` by the second implementation."""
    return RUNS[name][1].solve()


def difference(name: str, variable: str) -> float:
    """The largest difference over time and place, as a share of the largest value."""
    expected = second_solution(name)[variable]
    times = np.arange(len(expected)) * INTERVAL
    found = traces_of(name)[variable].sel(time=times, method="nearest").values
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def in_words(variable: str) -> str:
    """The name of a variable with spaces and hyphens: `"short-term process"`."""
    return variable.replace("_term", "-term").replace("_", " ")


def _formulas() -> list[Check]:
    product = math.tanh(POST / LAMBDA) * math.tanh(PRE / LAMBDA)
    rows: list[tuple[str, float, Callable[[], float]]] = [
        (
            "presynaptic activity 1 s after the drive begins",
            approach(PRE, LAMBDA, TAU_N, 1.0),
            partial(alone, "presynaptic_activity", 1.0, pre=0),
        ),
        (
            "presynaptic activity 1 s after the drive ends",
            PRE / LAMBDA * math.exp(-LAMBDA / TAU_N),
            partial(alone, "presynaptic_activity", ON + 1.0, pre=0),
        ),
        (
            "postsynaptic activity 1 s after the drive begins, without synapses",
            approach(POST, LAMBDA, TAU_N, 1.0),
            partial(alone, "postsynaptic_activity", 1.0, post=0),
        ),
        (
            "facilitation by constant input after 2 s",
            approach(BIAS, BETA, TAU_S, 2.0),
            partial(alone, "synaptic_facilitation", 2.0, **SILENT),
        ),
        (
            "steady facilitation of two driven neurons",
            (product + BIAS) / BETA,
            partial(alone, "synaptic_facilitation", ON, **DRIVEN),
        ),
        (
            "short-term process by constant input after 3 s",
            approach(SHORT_BIAS, GAMMA_S, TAU_PS, 3.0),
            partial(alone, "short_term_process", 3.0, **SILENT),
        ),
    ]
    checks = [
        Check.relative(f"rate model: {name}", "1", value, 1e-4, FORMULA, measure) for name, value, measure in rows
    ]
    name = "rate model: time constant of the long-term process under steady facilitation"
    return [*checks, Check.relative(name, "s", TAU_PL / GAMMA_L, 1e-3, FORMULA, long_term_time)]


def _fixed_points() -> list[Check]:
    expected = steady_states(WEIGHT)
    rows: list[tuple[str, float, Callable[[], float]]] = [
        (f"driven steady state of {in_words(name)}", expected[symbol], partial(steady, name))
        for name, symbol in SYMBOLS.items()
    ]
    added = expected["x"] - steady_states(0.0)["x"]
    rows.append(("what synapses add to steady postsynaptic activity", added, gain_by_synapses))
    return [
        Check.relative(f"rate model: {name}", "1", value, 1e-3, FIXED_POINT, measure) for name, value, measure in rows
    ]


def _second_implementation() -> list[Check]:
    return [
        Check.absolute(
            f"rate model: {in_words(variable)} of the {name}, relative error",
            "1",
            0,
            1e-6,
            SECOND,
            partial(difference, name, variable),
        )
        for name in RUNS
        for variable in VARIABLES
    ]


CHECKS = (*_formulas(), *_fixed_points(), *_second_implementation())
"""Formulas for each equation, the driven steady state, whole runs."""
