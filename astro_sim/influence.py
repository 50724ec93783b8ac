"""The measured influence: how the short-term process at one synapse answers to a push at another.

A small constant input is added to the short-term process of one synapse, with no drive, and the steady state that the
network comes to is found; the change of the short-term process at every synapse, divided by the push, is the influence.
It is not the coupling T: an effect also travels through third synapses and through facilitation. Ours.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import lu_factor, lu_solve

from astro_sim.arrays import Array
from astro_sim.equations import Model
from astro_sim.errors import SimulationError
from astro_sim.right_hand_side import RightHandSide
from rmaat.records import Record

PUSHED = "short_term_bias"
ANSWERING = "short_term_process"
PUSH = 1e-4
SLOPE_STEP = 1e-6
TOLERANCE = 1e-13
MOST_STEPS = 50


def measure_influence(model: Model, parameters: Record, coupling: Array) -> Array:
    """Influence (post, pre, source_post, source_pre), dimensionless, of each source on each synapse around rest.

    Pushes go both ways and their effects are subtracted, which leaves an error of the order of PUSH².

    Parameters
    ----------
    model, parameters
        Equations with a variable `short_term_process`, and their constants, of which `short_term_bias` is pushed.
    coupling : (post, pre, source_post, source_pre)
        The tensor T.

    Raises
    ------
    SimulationError
        No steady state was found.
    """
    shape = coupling.shape[:2]
    names = parameters.to_dict()

    def rate_under(push: Array) -> tuple[RightHandSide, Callable[[Array], Array]]:
        compiled = RightHandSide(model, {**names, PUSHED: names[PUSHED] + push}, coupling)
        return compiled, lambda state: compiled(state, np.zeros(shape[1]), np.zeros(shape[0]))

    compiled, rate = rate_under(np.zeros(shape))
    origin = np.zeros(compiled.size)
    rest = _steady_state(rate, origin)
    factors = lu_factor(_slope(rate, rest))
    influence = np.empty(coupling.shape)
    for source in np.ndindex(*shape):
        push = np.zeros(shape)
        push[source] = PUSH
        up, down = (_steady_state(rate_under(signed)[1], rest, factors) for signed in (push, -push))
        influence[:, :, *source] = compiled.unpack((up - down) / (2 * PUSH))[ANSWERING]
    return influence


def _steady_state(rate: Callable[[Array], Array], start: Array, factors: tuple[Any, Any] | None = None) -> Array:
    """A zero of `rate` by Newton's method, which the slope factored at a near state, where given, speeds up."""
    state = start
    for _ in range(MOST_STEPS):
        step = lu_solve(factors or lu_factor(_slope(rate, state)), rate(state))
        state = state - step
        if np.abs(step).max() <= TOLERANCE * max(1, np.abs(state).max()):
            return state
    raise SimulationError(
        "no steady state near rest was found to measure the influence; lower short_term_gain, coupling or biases"
    )


def _slope(rate: Callable[[Array], Array], state: Array) -> Array:
    """The Jacobian (of, by) by central differences."""
    steps = SLOPE_STEP * np.eye(state.size)
    return np.stack([(rate(state + step) - rate(state - step)) / (2 * SLOPE_STEP) for step in steps], axis=1)
