"""Durations compared as the decimal numbers the user wrote, so that 0.1 s divides 0.3 s.

Binary floating point says otherwise, and a solver or a clock that is one step out gives a wrong answer in silence.
"""

import math
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from rmaat.base.arrays import Array


def exact(seconds: float) -> Fraction:
    """The shortest decimal number that reads as this `float`, exactly."""
    return Fraction(repr(float(seconds)))


def divides(step: float, length: float) -> bool:
    """Whether `length` is a whole number of `step`."""
    return exact(length) % exact(step) == 0


def common_step(lengths: Iterable[float]) -> float:
    """The longest duration that divides every one of `lengths`; their greatest common divisor."""
    fractions = [exact(length) for length in lengths]
    denominator = math.lcm(*(fraction.denominator for fraction in fractions))
    numerator = math.gcd(*(int(fraction * denominator) for fraction in fractions))
    return float(Fraction(numerator, denominator))


def multiples(step: float, length: float) -> Array:
    """0, `step`, 2 `step` ... `length`, each the float nearest to its decimal number; `step` divides `length`."""
    return np.array([float(exact(step) * count) for count in range(int(exact(length) / exact(step)) + 1)])
