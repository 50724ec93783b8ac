"""Many small networks solved as one system. `scipy_engine` is the plain form, for one network.

A run of a 3 x 3 network spends its time in calls of NumPy, not in arithmetic. Here every variable has a last axis of
points, one for each network, so that one call of the compiled equations serves all of them. All points take the same
steps. Within an interval, time runs from 0 to 1 for every point, whatever the interval's duration at that point. So
points may differ in all durations, but not in the number of intervals.

No point is solved less accurately than alone. LSODA bounds the largest error over all states. DOP853 bounds the mean
square, all of which could come from one point, so its tolerances are divided by the square root of the points.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from astro_sim.engines.job import Job, Solution
from astro_sim.engines.scipy_engine import right_hand_side
from astro_sim.engines.stepping import METHODS, describe_solver, make_solver, states_at
from astro_sim.equations.right_hand_side import RightHandSide
from astro_sim.network.coupling import Coupling, as_matrix
from astro_sim.protocol import Interval
from rmaat.base.arrays import Array


class BatchCoupling(Coupling):
    """The tensors T of several networks of one size, applied to signals (post, pre, point)."""

    def __init__(self, couplings: Sequence[Coupling]) -> None:
        self.shape, self.points = couplings[0].shape, (len(couplings),)
        # (synapse, source, point): the points are contiguous, so that the sum over sources vectorises.
        self._matrices = np.stack([as_matrix(coupling.dense()) for coupling in couplings], axis=-1)

    def apply(self, signal: Array) -> Array:
        """As `Coupling.apply`, for every point."""
        flat = signal.reshape(-1, *self.points)
        return np.einsum("rsp,sp->rp", self._matrices, flat).reshape(signal.shape)

    def between(self, source: tuple[int, int]) -> Array:
        """As `Coupling.between`, (post, pre, point)."""
        width = self.shape[1]
        return self._matrices[:, source[0] * width + source[1]].reshape(*self.shape, *self.points)


def batch_rate(jobs: Sequence[Job], **shifts: float) -> RightHandSide:
    """The right-hand side of all `jobs`, for a state (size of one job, point) that is raveled.

    `shifts` are added to parameters, by name and for all points.
    """
    records = [job.parameters.to_dict() for job in jobs]
    # A value that all points share stays a number: arithmetic with it is faster.
    names: dict[str, Any] = {
        name: value if all(record[name] == value for record in records) else np.array([r[name] for r in records])
        for name, value in records[0].items()
    }
    names |= {name: names[name] + shift for name, shift in shifts.items()}
    return RightHandSide(jobs[0].model, names, BatchCoupling([job.coupling for job in jobs]))


def integrate_batch(jobs: Sequence[Job], times: Sequence[Array]) -> list[Solution]:
    """Solve `jobs` together.

    The jobs must agree in model, solver settings, network size, number of intervals, and in which intervals restart.

    Parameters
    ----------
    times : sequence of (time,)
        The times to store for each job, in s, increasing from 0.

    Raises
    ------
    SimulationError
        The solver gave up, or a state grew beyond all bounds. The error does not say at which point.
    """
    rate, points = batch_rate(jobs), range(len(jobs))
    states = [np.zeros((own.size, rate.size // len(jobs))) for own in times]
    state = np.zeros(rate.size)
    for intervals in zip(*(job.intervals for job in jobs), strict=True):
        if intervals[0].restart:
            state = rate.restarted(state)
        shares = [_shares(own, interval) for own, interval in zip(times, intervals, strict=True)]
        wanted = np.unique(np.concatenate([*(share[share > 0] for share in shares), [1.0]]))
        found = _solve(rate, intervals, state, wanted, jobs[0])
        for point in points:
            inside = shares[point] > 0
            states[point][inside] = found[np.searchsorted(wanted, shares[point][inside]), :, point]
        state = found[-1].ravel()
    used = describe_solver(jobs[0].solver)
    used |= {"method": f"{used['method']}, one step for all points of a batch"}
    single = right_hand_side(jobs[0])
    return [Solution(times[point], single.unpack(states[point]), used, ("scipy",)) for point in points]


def _shares(times: Array, interval: Interval) -> Array:
    """The share of `interval` that has passed at `times` (time,), in (0, 1]; 0 for times outside it."""
    inside = (times > interval.start) & (times <= interval.end)
    return np.where(inside, (times - interval.start) / (interval.end - interval.start), 0.0)


def _solve(rate: RightHandSide, intervals: Sequence[Interval], state: Array, wanted: Array, job: Job) -> Array:
    """States (share, variable, point) at the shares `wanted` (share,) of the interval; the last share is 1."""
    length = np.array([interval.end - interval.start for interval in intervals])
    pre, post = (
        np.stack([getattr(interval, f"{layer}synaptic_drive") for interval in intervals], axis=-1)
        for layer in ("pre", "post")
    )
    finer = math.sqrt(length.size) if job.solver.method == "dop853" else 1.0
    solver = make_solver(
        METHODS[job.solver.method],
        lambda _, y: (rate(y, pre, post).reshape(-1, length.size) * length).ravel(),
        0.0,
        state,
        1.0,
        job.solver.relative_tolerance / finer,
        job.solver.absolute_tolerance / finer,
    )
    return states_at(solver, wanted).reshape(wanted.size, -1, length.size)
