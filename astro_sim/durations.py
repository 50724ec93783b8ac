"""Exact arithmetic with durations, as the decimal numbers that the user wrote: 0.1 s divides 0.3 s.

In binary floating point it does not. A solver or a clock that is off by one step gives a wrong result without an error.
"""

import math
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from rmaat.base.arrays import Array


def exact(seconds: float) -> Fraction:
    """The shortest decimal number that rounds to this `float`, as a fraction."""
    return Fraction(repr(float(seconds)))


def divides(step: float, length: float) -> bool:
    """Whether `length` is a whole multiple of `step`."""
    return exact(length) % exact(step) == 0


def common_step(lengths: Iterable[float]) -> float:
    """The longest duration that divides all `lengths`: their greatest common divisor."""
    fractions = [exact(length) for length in lengths]
    denominator = math.lcm(*(fraction.denominator for fraction in fractions))
    numerator = math.gcd(*(int(fraction * denominator) for fraction in fractions))
    return float(Fraction(numerator, denominator))


def multiples(step: float, length: float) -> Array:
    """The times (time,) 0, `step`, 2 `step` ... `length`, each rounded once from its exact value.

    `step` must divide `length`; both are in s.
    """
    return np.array([float(exact(step) * count) for count in range(int(exact(length) / exact(step)) + 1)])
