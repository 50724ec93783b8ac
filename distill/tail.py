"""The increments after the simulated cycles, where the law fitted to all cycles misses the late ones.

If the first cycle starts from rest and later ones from what is left, the first increment is too small for any of the
laws. A fit to all cycles spreads this misfit over its rate, and the law then drifts away from the curve: by 18 % of the
increment at cycle 24 after 8 simulated ones. The late increments show the rate that continues. Each of the two predicts
the last simulated increment, and the better one continues the curve. The rule is ours.
"""

from dataclasses import dataclass

import numpy as np

from distill.law import Law
from distill.law_fit import EXACT, LawFit
from rmaat.base.arrays import Array

_SOLVER = 1e-8
"""Error of a rate from the tolerances of the simulation's solver, per cycle."""
LEAST_INCREMENTS = 4
"""Fewest simulated increments that show whether the rate still changes."""


@dataclass(frozen=True)
class Tail:
    """How the increments continue after the simulated ones."""

    law: Law
    """the law that continues them, scaled to meet the last of them"""
    late: bool
    """whether it has the rate of the last increments, and not that of the law fitted to all cycles"""
    rate: float
    """log of the ratio of the last two increments, per cycle"""
    misfit: float
    """error of the rate in the last simulated cycle, per cycle"""

    def errors(self, count: int) -> Array:
        """Standard errors of the next `count` increments, as shares of these, (cycle,), from the misfit of the rate.

        A misfit of the law's rate adds up once per cycle. A late rate that still changes may go on to change as fast.
        """
        cycle = np.arange(1.0, count + 1)
        return self.misfit * (cycle * (cycle + 1) / 2 if self.late else cycle)


def find_tail(simulated: Array, chosen: LawFit) -> Tail | None:
    """The tail of the increments `simulated` (cycle,); None if there are too few or if the law is exact.

    Parameters
    ----------
    simulated
        Increments of a run without noise, positive and decreasing; empty if the law replaces them.
    chosen
        The law fitted to all cycles.
    """
    if len(simulated) < LEAST_INCREMENTS or chosen.prediction_error <= EXACT:
        return None
    before, last = -np.diff(np.log(simulated[-3:]))
    # The law without the last stretch of cycles, so that neither of the two has seen the increment that it predicts.
    predicted = -np.diff(np.log(chosen.without[-1].increments(len(simulated) - 1, 2)))[0]
    drift, misfit = abs(last - before), abs(last - predicted)
    if drift < misfit:
        return Tail(Law("late", 1.0, (1.0,), (float(last),)), True, float(last), max(float(drift), _SOLVER))
    return Tail(chosen.law, False, float(last), float(misfit))
