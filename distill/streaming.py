"""Retention factors one by one, for a sequence whose end is not known."""

from collections.abc import Iterator

from distill.law import Law
from rmaat.base.arrays import Array


class StreamingRetention(Iterator[float]):
    """An endless iterator over the factors of the variant `streaming`, Delta_t / sum_{i<=t} Delta_i, for t = 1, 2, ...

    It keeps the simulated increments, the law that continues them and one running total, however far it goes.

        factors = tables.streaming()
        memory = next(factors) * memory

    Parameters
    ----------
    simulated
        The increments taken from the simulation, (cycle,); none where the law replaces them.
    law
        What continues them, scaled to meet the last of them.
    """

    def __init__(self, simulated: Array, law: Law) -> None:
        self._simulated, self._law = simulated, law
        self._scale = float(simulated[-1] / law.increments(len(simulated), 1)[0]) if len(simulated) else 1.0
        self._total = 0.0
        self.segment = 0
        """How many factors have been yielded."""

    def __next__(self) -> float:
        increment = self._increment(self.segment)
        self._total += increment
        self.segment += 1
        return increment / self._total

    def _increment(self, cycle: int) -> float:
        if cycle < len(self._simulated):
            return float(self._simulated[cycle])
        return float(self._law.increments(cycle + 1, 1)[0]) * self._scale
