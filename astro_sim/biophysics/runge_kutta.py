"""Fixed steps of the classical Runge-Kutta method, for many cells together and for equations with jumps.

A solver with adaptive steps is slow here: a rate jumps at each sign change of a difference of IP3, and the solver would
restart at every spike of every cell. Fixed steps that are short beside all time constants are fast and accurate. For a
single compartment, `solve` uses the adaptive solver.
"""

from astro_sim.biophysics.system import Rate
from rmaat.base.arrays import Array


def step_on(rate: Rate, state: Array, step: float) -> Array:
    """The state (variable, ...) one `step` in s later."""
    first = rate(state)
    second = rate(state + step / 2 * first)
    third = rate(state + step / 2 * second)
    fourth = rate(state + step * third)
    return state + step / 6 * (first + 2 * (second + third) + fourth)
