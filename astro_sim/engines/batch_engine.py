"""Many small networks solved as one system: SciPy's solver with one step for all, every number an array over points.

A run of a 3 x 3 network spends its time on the way into NumPy and back, not on arithmetic. Here each variable has an
axis of points, last, so that the same compiled equations serve all points in one call. Between two edges of the
stimulus time is measured in shares of the point's own interval; so points may differ in all their durations, as long as
they have as many intervals. No point is solved less finely than alone: LSODA bounds the largest error over all states;
DOP853 bounds the mean square, which one point could make up by itself, and is asked for as much less.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from astro_sim.engines.job import Job, Solution
from astro_sim.engines.scipy_engine import LARGEST, make_solver, quiet, release, right_hand_side, settings
from astro_sim.equations.right_hand_side import RightHandSide
from astro_sim.errors import SimulationError
from astro_sim.network.coupling import Coupling, as_matrix
from astro_sim.protocol import Interval
from rmaat.base.arrays import Array


class BatchCoupling(Coupling):
    """The tensors T of several networks of one size, acting on signals (post, pre, point)."""

    def __init__(self, couplings: Sequence[Coupling]) -> None:
        self.shape, self.points = couplings[0].shape, (len(couplings),)
        # (synapse, source, point): the sum over sources runs along contiguous points.
        self._matrices = np.stack([as_matrix(coupling.dense()) for coupling in couplings], axis=-1)

    def apply(self, signal: Array) -> Array:
        """As `Coupling.apply`, at every point."""
        flat = signal.reshape(-1, *self.points)
        return np.einsum("rsp,sp->rp", self._matrices, flat).reshape(signal.shape)

    def between(self, source: tuple[int, int]) -> Array:
        """As `Coupling.between`, (post, pre, point)."""
        width = self.shape[1]
        return self._matrices[:, source[0] * width + source[1]].reshape(*self.shape, *self.points)


def batch_rate(jobs: Sequence[Job], **shifts: float) -> RightHandSide:
    """The right-hand side of all `jobs`, whose state is (size of one, point) raveled; `shifts` add to parameters."""
    records = [job.parameters.to_dict() for job in jobs]
    # What all points share stays a number, for speed.
    names: dict[str, Any] = {
        name: value if all(record[name] == value for record in records) else np.array([r[name] for r in records])
        for name, value in records[0].items()
    }
    names |= {name: names[name] + shift for name, shift in shifts.items()}
    return RightHandSide(jobs[0].model, names, BatchCoupling([job.coupling for job in jobs]))


def integrate_batch(jobs: Sequence[Job], times: Sequence[Array]) -> list[Solution]:
    """Solve `jobs`, each at its own stored `times` in s, which increase from 0.

    The jobs share model, solver settings, network size, the number of intervals and which of these restart.

    Raises
    ------
    SimulationError
        The solver gave up, or a state grew beyond all measure; which point is to blame is not known.
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
    used = settings(jobs[0].solver)
    used |= {"method": f"{used['method']}, one step for all points of a batch"}
    single = right_hand_side(jobs[0])
    return [Solution(times[point], single.unpack(states[point]), used, ("scipy",)) for point in points]


def _shares(times: Array, interval: Interval) -> Array:
    """Where `times` lie in `interval`, from just above 0 to 1; 0 outside."""
    inside = (times > interval.start) & (times <= interval.end)
    return np.where(inside, (times - interval.start) / (interval.end - interval.start), 0.0)


def _solve(rate: RightHandSide, intervals: Sequence[Interval], state: Array, wanted: Array, job: Job) -> Array:
    """States (share, variable, point) where the share of the interval that has passed is `wanted`, of which 1 is last.

    Stepped here because SciPy's `solve_ivp` would look for the root of an event at every step.
    """
    length = np.array([interval.end - interval.start for interval in intervals])
    pre, post = (
        np.stack([getattr(interval, f"{layer}synaptic_drive") for interval in intervals], axis=-1)
        for layer in ("pre", "post")
    )
    solver = make_solver(
        job.solver,
        lambda _, y: (rate(y, pre, post).reshape(-1, length.size) * length).ravel(),
        0.0,
        state,
        1.0,
        finer=math.sqrt(length.size) if job.solver.method == "dop853" else 1.0,
    )
    found = np.empty((wanted.size, rate.size // length.size, length.size))
    with quiet():
        while solver.status == "running":
            before, message = solver.t, solver.step()
            if solver.status == "failed" or not np.abs(solver.y).max() < LARGEST:
                raise SimulationError(f"scipy gave up ({message or 'a state grew beyond all measure'})")
            due = (wanted > before) & (wanted <= solver.t)
            if due.any():
                found[due] = solver.dense_output()(wanted[due]).T.reshape(-1, *found.shape[1:])
    release(solver)
    return found
