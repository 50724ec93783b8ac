"""The measured influence: how the short-term process at one synapse answers to a push at another.

A small constant input is added to the short-term process of one synapse, with no drive, and the steady state that the
network comes to is found; the change of the short-term process at every synapse, divided by the push, is the influence.
It is not the coupling T: an effect also travels through third synapses and through facilitation. Ours.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.linalg import lu_factor, lu_solve
from scipy.sparse.linalg import LinearOperator, lgmres

from astro_sim.equations.model import Model
from astro_sim.equations.right_hand_side import RightHandSide
from astro_sim.errors import SimulationError
from astro_sim.network.coupling import LARGEST_DENSE, Coupling
from rmaat.base.arrays import Array
from rmaat.base.records import Record

Rate = Callable[[Array], Array]
Slope = Callable[[Rate, Array], Callable[[Array], Array]]
"""From a rate and a state to what solves `Jacobian step = residual` for the step."""

PUSHED = "short_term_bias"
ANSWERING = "short_term_process"
PUSH = 1e-4
SLOPE_STEP = 1e-6
TOLERANCE = 1e-13
MOST_STEPS = 50
KRYLOV_TOLERANCE = 1e-6
KRYLOV_CYCLES = 40


def measure_influence(
    model: Model, parameters: Record, coupling: Coupling, sources: Sequence[tuple[int, int]]
) -> Array:
    """Influence (source, post, pre), dimensionless, of each of `sources` on each synapse around rest.

    Pushes go both ways and their effects are subtracted, which leaves an error of the order of PUSH².

    Parameters
    ----------
    model, parameters
        Equations with a variable `short_term_process`, and their constants, of which `short_term_bias` is pushed.
    coupling : Coupling
        The operator T.
    sources : sequence of (post, pre)
        The synapses that are pushed, one at a time.

    Raises
    ------
    SimulationError
        No steady state was found.
    """
    post, pre = coupling.shape
    names = parameters.to_dict()
    slope = dense_slope if post * pre <= LARGEST_DENSE else krylov_slope

    def rate_under(push: Array) -> tuple[RightHandSide, Rate]:
        compiled = RightHandSide(model, {**names, PUSHED: names[PUSHED] + push}, coupling)
        return compiled, lambda state: compiled(state, np.zeros(pre), np.zeros(post))

    compiled, rate = rate_under(np.zeros(coupling.shape))
    rest = _steady_state(rate, np.zeros(compiled.size), lambda state: slope(rate, state))
    solve = slope(rate, rest)
    influence = np.empty((len(sources), *coupling.shape))
    for count, source in enumerate(sources):
        push = np.zeros(coupling.shape)
        push[source] = PUSH
        up, down = (_steady_state(rate_under(signed)[1], rest, lambda _: solve) for signed in (push, -push))
        influence[count] = compiled.unpack((up - down) / (2 * PUSH))[ANSWERING]
    return influence


def _steady_state(rate: Rate, start: Array, solver_at: Callable[[Array], Callable[[Array], Array]]) -> Array:
    """A zero of `rate` by Newton's method; `solver_at` may give the solver of a near state, to save work."""
    state = start
    for _ in range(MOST_STEPS):
        step = solver_at(state)(rate(state))
        state = state - step
        if np.abs(step).max() <= TOLERANCE * max(1, np.abs(state).max()):
            return state
    raise SimulationError(
        "no steady state near rest was found to measure the influence; lower short_term_gain, coupling or biases"
    )


def dense_slope(rate: Rate, state: Array) -> Callable[[Array], Array]:
    """The Jacobian by central differences, factored: the plain form, for small networks."""
    steps = SLOPE_STEP * np.eye(state.size)
    slope = np.stack([(rate(state + step) - rate(state - step)) / (2 * SLOPE_STEP) for step in steps], axis=1)
    factors = lu_factor(slope)
    return lambda residual: lu_solve(factors, residual)


def krylov_slope(rate: Rate, state: Array) -> Callable[[Array], Array]:
    """The Jacobian known only by its products, each two evaluations of the rate; solved by LGMRES.

    An inexact step is enough, because Newton's method corrects what it leaves.
    """

    def product(vector: Array) -> Array:
        size = np.abs(vector).max()
        if size == 0:
            return np.zeros_like(vector)
        step = SLOPE_STEP / size * vector.ravel()
        return (rate(state + step) - rate(state - step)) * (size / (2 * SLOPE_STEP))

    operator: Any = LinearOperator
    matrix = operator((state.size,) * 2, product, dtype=float)

    def solve(residual: Array) -> Array:
        step, _ = lgmres(matrix, residual, rtol=KRYLOV_TOLERANCE, atol=0, maxiter=KRYLOV_CYCLES)
        return step

    return solve
