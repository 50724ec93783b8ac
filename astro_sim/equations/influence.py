"""The measured influence: how the short-term process at one synapse responds to a push at another (ours).

A small constant input, the push, is added to the short-term process of one synapse, the source. The influence is the
change of the short-term process at every synapse in the new steady state, divided by the push. It differs from the
coupling T, because an effect also travels over third synapses and through facilitation.

The drive is off, so that the steady state is rest, or constant. A drive takes the nonlinearities towards saturation and
lowers their slopes: the influence is then weaker and reaches less far.

To first order the steady state changes by `-Jacobian⁻¹ ∂rate/∂push`. Three measurements share the steps below:

| measurement | network | push |
| --- | --- | --- |
| `measure_influence` | one, also large | finite: the difference of two steady states, so that equations may be curved |
| `astro_sim.runs.batch.measure_influences` | many small ones at once | to first order |
| `astro_sim.biophysics.spiking.simulation.measure_influence` | IP3 of the spiking model | to first order |
"""

from collections.abc import Callable, Sequence
from functools import partial
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
Solve = Callable[[Array], Array]
"""Solves `Jacobian step = residual` for the step."""

PUSHED = "short_term_bias"
RESPONDING = "short_term_process"
PUSH = 1e-4
SLOPE_STEP = 1e-6
TOLERANCE = 1e-13
MOST_STEPS = 50
DRIVE_STEPS = 8
KRYLOV_TOLERANCE = 1e-6
KRYLOV_CYCLES = 40


def measure_influence(
    model: Model,
    parameters: Record,
    coupling: Coupling,
    sources: Sequence[tuple[int, int]],
    drive: tuple[Array, Array] | None = None,
) -> Array:
    """Influence (source, post, pre), dimensionless, of each of `sources` on each synapse around a steady state.

    The push is applied in both directions and the responses are subtracted. This leaves an error of the order of PUSH².

    Parameters
    ----------
    model, parameters
        Equations with a variable `short_term_process`, and their constants with the parameter `short_term_bias`.
    coupling : Coupling
        The operator T.
    sources : sequence of (post, pre)
        The synapses to push, one at a time.
    drive : ((pre,), (post,)), optional
        Constant drive of both layers of neurons, dimensionless; without it the steady state is rest.

    Raises
    ------
    SimulationError
        No steady state was found.
    """
    post, pre = coupling.shape
    names = parameters.to_dict()
    solver_at = dense_solver if post * pre <= LARGEST_DENSE else krylov_solver
    pre_drive, post_drive = drive or (np.zeros(pre), np.zeros(post))

    def rate_under(push: Array, share: float = 1.0) -> tuple[RightHandSide, Rate]:
        compiled = RightHandSide(model, {**names, PUSHED: names[PUSHED] + push}, coupling)
        return compiled, lambda state: compiled(state, share * pre_drive, share * post_drive)

    compiled, rate = rate_under(np.zeros(coupling.shape))
    steady = np.zeros(compiled.size)
    # The drive grows in steps: Newton's method may diverge if it starts far from the steady state.
    for share in np.linspace(1 / DRIVE_STEPS, 1, DRIVE_STEPS) if drive else (1.0,):
        _, partly = rate_under(np.zeros(coupling.shape), share)
        steady = steady_state(partly, steady, partial(solver_at, partly))
    # The Jacobian there serves for the near states, too: Newton's method corrects the difference.
    solve = solver_at(rate, steady)
    influence = np.empty((len(sources), *coupling.shape))
    for count, source in enumerate(sources):
        push = np.zeros(coupling.shape)
        push[source] = PUSH
        up, down = (steady_state(rate_under(signed)[1], steady, lambda _: solve) for signed in (push, -push))
        influence[count] = compiled.unpack((up - down) / (2 * PUSH))[RESPONDING]
    return influence


def steady_state(rate: Rate, start: Array, solver_at: Callable[[Array], Solve]) -> Array:
    """A zero of `rate`, found by Newton's method from `start` (variable,) or (variable, point).

    `solver_at` returns the solver for the Jacobian at a state, exact or approximate. All points must converge.

    Raises
    ------
    SimulationError
        The method did not converge in MOST_STEPS steps.
    """
    state = start
    for _ in range(MOST_STEPS):
        step = solver_at(state)(rate(state))
        state = state - step
        if (np.abs(step).max(axis=0) <= TOLERANCE * np.maximum(1, np.abs(state).max(axis=0))).all():
            return state
    raise SimulationError(
        "no steady state near rest was found to measure the influence; lower short_term_gain, coupling or biases"
    )


def jacobian(rate: Rate, state: Array) -> Array:
    """∂rate/∂state by central differences: (rate, variable), or (point, rate, variable) for (variable, point)."""
    steps = SLOPE_STEP * np.eye(len(state)).reshape(*(len(state),) * 2, *(1,) * (state.ndim - 1))
    columns = [(rate(state + step) - rate(state - step)) / (2 * SLOPE_STEP) for step in steps]
    slopes = np.stack(columns, axis=1)
    return np.moveaxis(slopes, -1, 0) if state.ndim > 1 else slopes


def response(slopes: Array, force: Array) -> Array:
    """`-Jacobian⁻¹ force`: the change (..., variable, source) of the steady state, to first order in the force.

    Parameters
    ----------
    slopes : (..., rate, variable)
        The Jacobian at rest.
    force : (..., rate, source)
        What the push at each source adds to the rates, per push.

    Raises
    ------
    numpy.linalg.LinAlgError
        The Jacobian is singular: rest is not unique.
    """
    return -np.asarray(np.linalg.solve(slopes, force), dtype=np.float64)


def dense_solver(rate: Rate, state: Array) -> Solve:
    """The Jacobian (rate, variable) as a matrix, factored: the plain form of `krylov_solver`, for small networks."""
    factors = lu_factor(jacobian(rate, state))
    return lambda residual: lu_solve(factors, residual)


def krylov_solver(rate: Rate, state: Array) -> Solve:
    """The Jacobian as an operator, solved by LGMRES; `dense_solver` is the plain form.

    A product with the Jacobian takes two evaluations of the rate. The solution is inexact, but Newton's method corrects
    the rest of it.
    """

    def product(vector: Array) -> Array:
        size = np.abs(vector).max()
        if size == 0:
            return np.zeros_like(vector)
        step = SLOPE_STEP / size * vector.ravel()
        return (rate(state + step) - rate(state - step)) * (size / (2 * SLOPE_STEP))

    # SciPy's own annotations of LinearOperator do not allow a plain function.
    operator: Any = LinearOperator
    matrix = operator((state.size,) * 2, product, dtype=float)

    def solve(residual: Array) -> Array:
        step, _ = lgmres(matrix, residual, rtol=KRYLOV_TOLERANCE, atol=0, maxiter=KRYLOV_CYCLES)
        return step

    return solve
