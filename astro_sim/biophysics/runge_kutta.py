"""Fixed steps of the classical Runge-Kutta method, for many cells at once and for equations with jumps.

A solver that chooses its steps would creep where a rate jumps at every sign change of a difference, or stop at every
spike of every cell; steps that are short beside all time constants go on.
"""

from astro_sim.biophysics.system import Rate
from rmaat.base.arrays import Array


def step_on(rate: Rate, state: Array, step: float) -> Array:
    """The state (variable, ...) after one `step` in s."""
    first = rate(state)
    second = rate(state + step / 2 * first)
    third = rate(state + step / 2 * second)
    fourth = rate(state + step * third)
    return state + step / 6 * (first + 2 * (second + third) + fourth)
