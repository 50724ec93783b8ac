"""Retention factors: how much of the memory is kept after segment t of T.

From the long-term curve p, Delta_t is its growth in cycle t, one cycle per segment:

    increment    RF(t, T) = Delta_t / sum_{i<=T} Delta_i    a reader of the RMAAT paper; positive, decreasing, sums to 1
    area         RF(t, T) = A_t / sum_{i<=T} A_i            a reader of the paper's earlier version; A_t is the area
                                                            under the fitted curve in cycle t, so that it grows with t
    horizon      increment of the law slowed to T cycles    ours; for many segments
    streaming    RF(t)    = Delta_t / sum_{i<=t} Delta_i    ours; needs no T
    saturation   RF(t)    = Delta_t / sum_{all i} Delta_i   ours; needs no T
    constant     RF(T)    = 1 / T                           ours; a control
    none         RF       = 1                               ours; a control: no retention
    random       increment, shuffled over t for each T      ours; a control

With a linear long-term process and fast variables that restart, the increments are geometric,
Delta_t = Delta_1 exp(-a (t - 1)) with a = gamma^l tau_cycle / tau_p^l, and
RF(t, T) = exp(-a (t - 1)) (1 - exp(-a)) / (1 - exp(-a T)).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import gamma, gammainc

from distill.errors import DistillError
from distill.law import Law
from distill.law_fit import CONFIDENCE, LawFit, Rate, choose_law, fit_law, fit_laws, fit_rate
from rmaat.base.arrays import Array

# Growth in one cycle below this share of the whole is the rounding of a saturated curve; the law takes over.
RESOLUTION = 1e-10

LARGEST_ERROR = 0.05
"""Error at cycles left out, as a share of the curve's end, up to which a law may stand for the curve."""


@dataclass(frozen=True, eq=False)
class LongTermCurve:
    """Increments of the mean long-term process, cycle by cycle, and the laws fitted to them."""

    growth: Array
    """(simulated cycle,): the mean process at the ends of cycles, above its start."""
    increments: Array
    """(cycle,), all positive: `simulated` ones, continued by the law."""
    increment_errors: Array
    """(cycle,): standard errors, 0 where an increment of a run without noise is taken as it is."""
    simulated: int
    """How many increments are the simulation's own."""
    law: Law
    """The law that continues or replaces them."""
    fits: tuple[LawFit, ...]
    """Every law that was compared."""
    rate: Rate
    """a of the geometric law p(n) = S (1 - exp(-a n)), whichever law was chosen."""
    saturation: float
    """Sum of all increments, to infinity: the simulated ones and those of the law after them."""
    trials: int
    """Runs that the curve is the mean of."""

    @property
    def residual(self) -> float:
        """How far the curve departs from the geometric law at most, as a share of its end."""
        return self.fits[0].residual


def fit_curve(
    long_term: Array,
    cycles: int,
    *,
    laws: Callable[[Array], tuple[LawFit, ...]] = fit_laws,
    stochastic: bool = False,
    resamples: int = 200,
    seed: int = 0,
) -> LongTermCurve:
    """Increments of a simulated curve, continued by its fitted law to `cycles`.

    The simulation's own increments are taken where there is no noise in them, that is from one run of a model that
    draws no random numbers, and only if all are positive and decreasing. Otherwise all increments are the fitted
    law's: a noisy curve is never differenced.

    Parameters
    ----------
    long_term
        Mean long-term process at the start of the run and at each cycle's end, (simulated cycles + 1,) or, of several
        runs, (trial, simulated cycles + 1).
    cycles
        How many increments are wanted; those that were simulated are taken as they are, until the curve is flat.
    laws
        Fits the laws to choose from: all of them, or `distill.law_fit.fit_laws_until_exact`, which gives the same curve
        sooner and compares less.
    stochastic
        Whether the model draws random numbers.
    resamples, seed
        Of the bootstrap over trials, which errors come from where there are several. From a single run they come from
        the jackknife over cycles.

    Raises
    ------
    DistillError
        Fewer than 3 cycles that grow, or a curve that neither has positive, decreasing increments nor follows a law
        within `LARGEST_ERROR`.
    """
    runs = np.atleast_2d(long_term)
    runs = runs[:, 1:] - runs[:, :1]
    growth = runs.mean(axis=0)
    own = _resolved_increments(growth)
    wrong = (own <= 0) | (np.diff(own, prepend=np.inf) >= 0)
    if growth[-1] <= 0:
        raise DistillError(f"{_not_decreasing(own, wrong)}; use longer cycles or weaker coupling")
    fits = laws(growth)
    chosen, rate = choose_law(fits, len(growth)), fit_rate(growth)
    if stochastic or len(runs) > 1 or wrong.any():
        _check_law(chosen, own, wrong)
        own = own[:0]
    if len(runs) > 1:
        rate, errors = _bootstrap(runs, chosen.law.name, cycles, resamples, seed)
    else:
        errors = _jackknife(own, chosen.without, cycles)
    return LongTermCurve(
        growth=growth,
        increments=_continued(own, chosen.law, cycles),
        increment_errors=errors,
        simulated=min(len(own), cycles),
        law=chosen.law,
        fits=fits,
        rate=rate,
        saturation=_saturation(own, chosen.law),
        trials=len(runs),
    )


def retention_parts(curve: LongTermCurve, slowed: Array, order: np.ndarray) -> dict[str, tuple[Array, Array]]:
    """Weight w(t) and total W(T) of each variant with RF(t, T) = w(t) / W(T), all of the curve's length.

    Two short rows in place of a table of all pairs: at 4,096 segments that is 64 kB instead of 134 MB. For horizon and
    random they hold for the longest T alone.

    Parameters
    ----------
    slowed
        The factors of horizon for the longest T, (segment,).
    order
        As `shuffled_order` gives it, (segment,).
    """
    increments, one = curve.increments, np.ones(len(curve.increments))
    area = areas(curve.law, len(increments))
    return {
        "increment": (increments, increments.cumsum()),
        "area": (area, area.cumsum()),
        "horizon": (slowed, slowed.cumsum()),
        "streaming": (increments / increments.cumsum(), one),
        "saturation": (increments / curve.saturation, one),
        "constant": (one, one.cumsum()),
        "none": (one, one),
        "random": (increments[order - 1], increments.cumsum()),
    }


def areas(law: Law, cycles: int) -> Array:
    """The area under `law` in each of `cycles` cycles, (cycle,), in the unit of the curve times a cycle.

    From integral exp(-(a u)^b) du = P(1 / b, (a u)^b) Gamma(1 / b) / (a b), with P the regularised incomplete gamma
    function.
    """
    edge = np.arange(cycles + 1.0)
    exponent = 1 / law.stretch
    missing = np.zeros(cycles)
    for share, rate in zip(law.shares, law.rates, strict=True):
        whole = gamma(exponent) * exponent / rate
        missing += share * whole * np.diff(gammainc(exponent, (rate * edge) ** law.stretch))
    return law.saturation * (1 - missing)


def shuffled_order(segments: int, seed: int) -> np.ndarray:
    """A random permutation of 1 to `segments`, (segment,), whose first T entries order T segments at random, for any T.

    For each T, the segment with the r-th smallest entry of the first T takes the r-th factor. A longer order with the
    same seed orders its first segments alike.
    """
    keys = np.random.default_rng(seed).random(segments)
    return (np.argsort(np.argsort(keys)) + 1).astype(np.int32)


def _not_decreasing(increments: Array, wrong: np.ndarray) -> str:
    cycle = int(np.argmax(wrong)) + 1
    latest = ", ".join(f"{increment:.4g}" for increment in increments[:cycle][-3:])
    return f"the increments of the long-term process are not positive and decreasing ({latest} up to cycle {cycle})"


def _check_law(chosen: LawFit, increments: Array, wrong: np.ndarray) -> None:
    if chosen.prediction_error > LARGEST_ERROR:
        found = _not_decreasing(increments, wrong) if wrong.any() else "the long-term process is noisy"
        raise DistillError(
            f"{found}, and no saturating law replaces them: the best predicts cycles left out of its fit with an error "
            f"of {chosen.prediction_error:.1%} of the curve's end, more than {LARGEST_ERROR:.0%}; "
            "use longer cycles, weaker coupling or more trials"
        )


def _continued(own: Array, law: Law, cycles: int) -> Array:
    """`own` increments and then those of `law`, scaled to meet the last of them; (cycle,)."""
    if not len(own):
        return law.increments(1, cycles)
    after = law.increments(len(own) + 1, max(cycles - len(own), 0))
    return np.concatenate([own, after * _meeting(own, law)])[:cycles]


def _meeting(own: Array, law: Law) -> float:
    return own[-1] / float(law.increments(len(own), 1)[0])


def _saturation(own: Array, law: Law) -> float:
    if not len(own):
        return law.saturation
    return float(own.sum() + law.rest(len(own)) * _meeting(own, law))


def _resolved_increments(growth: Array) -> Array:
    """The increments of a curve up to where it is flat; at least 3."""
    increments = np.diff(growth, prepend=0.0)
    resolved = np.logical_and.accumulate(np.abs(increments) >= RESOLUTION * np.ptp(growth))
    if resolved.sum() < 3:
        raise DistillError(
            f"the long-term process grows in {resolved.sum()} cycles of the traces and its curve needs at least 3; "
            "simulate more cycles or a longer long_term_time_constant"
        )
    return increments[resolved]


def _jackknife(own: Array, without: tuple[Law, ...], cycles: int) -> Array:
    """Standard errors (cycle,) of increments from fits that lack one stretch of cycles each."""
    spread = np.var([_continued(own, law, cycles) for law in without], axis=0)
    errors = np.sqrt((len(without) - 1) * spread)
    errors[: len(own)] = 0.0
    return errors


def _bootstrap(runs: Array, name: str, cycles: int, resamples: int, seed: int) -> tuple[Rate, Array]:
    """The rate, and standard errors (cycle,) of the law's increments, from trials drawn with replacement."""
    generator = np.random.default_rng(seed)
    cycle = np.arange(1.0, runs.shape[1] + 1)
    means = [runs[generator.integers(len(runs), size=len(runs))].mean(axis=0) for _ in range(resamples)]
    increments = [fit_law(name, cycle, mean).increments(1, cycles) for mean in means]
    rates = np.array([fit_law("geometric", cycle, mean).rates[0] for mean in means])
    rate = fit_law("geometric", cycle, runs.mean(axis=0)).rates[0]
    low, high = np.quantile(rates, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    interval = min(float(low), rate), max(float(high), rate)
    return Rate(rate, float(rates.std(ddof=1)), interval), np.std(increments, axis=0, ddof=1)
