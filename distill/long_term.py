"""The long-term curve: its increments, cycle by cycle, and the fitted law that continues or replaces them.

`distill.retention` computes the retention factors from these increments.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from distill.errors import DistillError
from distill.law import Law
from distill.law_fit import CONFIDENCE, LawFit, Rate, choose_law, fit_law, fit_laws, fit_rate, interval
from distill.tail import Tail, find_tail
from rmaat.base.arrays import Array
from rmaat.base.text import counted

RESOLUTION = 1e-10
"""Growth in one cycle, as a share of the whole curve, below which it is rounding and the law replaces it."""

LARGEST_ERROR = 0.05
"""Largest error at cycles left out of the fit, as a share of the curve's end, at which a law may replace the curve."""


@dataclass(frozen=True, eq=False)
class LongTermCurve:
    """Increments of the mean long-term process per cycle, and the laws fitted to the process; all dimensionless."""

    growth: Array
    """(simulated cycle,): mean process at the end of each cycle, above its start"""
    increments: Array
    """(cycle,), all positive: the first `simulated` ones from the simulation, the others from the law or the tail"""
    increment_errors: Array
    """(cycle,): standard errors; 0 for increments from the simulation"""
    simulated: int
    """number of increments from the simulation"""
    law: Law
    """the law fitted to the curve; it continues or replaces the simulated increments, unless `tail` does"""
    tail: Tail | None
    """how the increments continue if the law is not exact; None if the law does, or if it replaces them"""
    fits: tuple[LawFit, ...]
    """all laws that were compared, the geometric one first"""
    rate: Rate
    """a of the geometric law p(n) = S (1 - exp(-a n)), whichever law was chosen"""
    saturation: float
    """sum of all increments to infinity, simulated ones and then those that continue them"""
    trials: int
    """number of runs whose mean is the curve"""

    @property
    def residual(self) -> float:
        """The largest distance of the curve from the geometric law, as a share of the curve's end."""
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

    Simulated increments are used only if they have no noise: one run of a model without random numbers, all of them
    positive and decreasing. Otherwise all increments come from the fitted law, because differences amplify noise.

    Parameters
    ----------
    long_term
        Mean long-term process at the start of the run and at the end of each cycle, dimensionless,
        (simulated cycles + 1,), or (trial, simulated cycles + 1) for several runs.
    cycles
        The number of increments to return. Simulated ones are used up to where the curve is flat.
    laws
        The function that fits the laws to choose from: `fit_laws` fits all of them. `fit_laws_until_exact` gives the
        same curve sooner, but `fits` may then hold the geometric law alone.
    stochastic
        Whether the model draws random numbers.
    resamples, seed
        Number of resamples and seed of the bootstrap over trials, which gives the errors of several runs. The errors
        of a single run come from the jackknife over cycles.

    Raises
    ------
    DistillError
        The curve grows in fewer than 3 cycles, or its increments are not positive and decreasing and no law follows it
        within `LARGEST_ERROR`.
    """
    # Only growth matters: the process need not start at 0.
    runs = np.atleast_2d(long_term)
    runs = runs[:, 1:] - runs[:, :1]
    growth = runs.mean(axis=0)
    simulated = _resolved_increments(growth)
    # The first increment has no predecessor; infinity makes only its sign count.
    wrong = (simulated <= 0) | (np.diff(simulated, prepend=np.inf) >= 0)
    if not growth.any():
        raise DistillError("the long-term process stays at its start in every cycle; give a drive")
    if growth[-1] <= 0:
        raise DistillError(f"{_not_decreasing(simulated, wrong)}; use longer cycles or weaker coupling")
    fits = laws(growth)
    chosen, rate = choose_law(fits, len(growth)), fit_rate(growth)
    if stochastic or len(runs) > 1 or wrong.any():
        _check_law(chosen, simulated, wrong)
        # No simulated increment is kept: one noisy increment would spoil the factors of every later segment.
        simulated = simulated[:0]
    tail = find_tail(simulated, chosen)
    continuing = tail.law if tail else chosen.law
    increments = _continued(simulated, continuing, cycles)
    if len(runs) > 1:
        rate, errors = _bootstrap(runs, chosen.law.name, cycles, resamples, seed)
    elif tail:
        rate, errors = _with_misfit(rate, tail), _tail_errors(simulated, chosen, tail, increments)
    else:
        errors = _jackknife(simulated, chosen.without, cycles)
    return LongTermCurve(
        growth=growth,
        increments=increments,
        increment_errors=errors,
        simulated=min(len(simulated), cycles),
        law=chosen.law,
        tail=tail,
        fits=fits,
        rate=rate,
        saturation=_saturation(simulated, continuing),
        trials=len(runs),
    )


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


def _continued(simulated: Array, law: Law, cycles: int) -> Array:
    """Increments (cycle,): first `simulated`, then those of `law`, scaled to continue the last of them."""
    after = law.increments(len(simulated) + 1, max(cycles - len(simulated), 0))
    return np.concatenate([simulated, after * law.scale_to_continue(simulated)])[:cycles]


def _saturation(simulated: Array, law: Law) -> float:
    # The law's own end; law.rest(0) would differ from it in the last bit where shares do not sum to 1 exactly.
    if not len(simulated):
        return law.saturation
    return float(simulated.sum() + law.rest(len(simulated)) * law.scale_to_continue(simulated))


def _resolved_increments(growth: Array) -> Array:
    """The increments (cycle,) of `growth` up to the first that is rounding; at least 3."""
    increments = np.diff(growth, prepend=0.0)
    # The first flat cycle ends the curve: later differences are rounding of the solver, whatever their size.
    resolved = np.logical_and.accumulate(np.abs(increments) >= RESOLUTION * np.ptp(growth))
    if resolved.sum() < 3:
        raise DistillError(
            f"the long-term process grows in {counted(resolved.sum(), 'cycle')} of the traces, but its curve needs at "
            "least 3; simulate more cycles or a longer long_term_time_constant"
        )
    return increments[resolved]


def _jackknife(simulated: Array, without: tuple[Law, ...], cycles: int) -> Array:
    """Standard errors (cycle,) of the increments, from fits that each leave out one stretch of cycles."""
    # The jackknife: with g groups the variance is (g - 1) / g times the sum of squared deviations.
    spread = np.var([_continued(simulated, law, cycles) for law in without], axis=0)
    errors = np.sqrt((len(without) - 1) * spread)
    # A run without noise repeats to the bit, so its own increments have no error.
    errors[: len(simulated)] = 0.0
    return errors


def _tail_errors(simulated: Array, chosen: LawFit, tail: Tail, increments: Array) -> Array:
    """Standard errors (cycle,) of `increments`: that of the law's fit, if it continues them, and that of its misfit."""
    cycles = len(increments)
    fit = np.zeros(cycles) if tail.late else _jackknife(simulated, chosen.without, cycles)
    misfit = np.concatenate([np.zeros(len(simulated)), tail.errors(max(cycles - len(simulated), 0))])[:cycles]
    return np.hypot(fit, increments * misfit)


def _with_misfit(rate: Rate, tail: Tail) -> Rate:
    """The rate of the geometric law, with the distance to the late rate in its error."""
    # The rate of a law that misses the curve is no better known than the curve changes its own.
    error = float(np.hypot(rate.error, rate.value - tail.rate))
    return Rate(rate.value, error, interval(rate.value, error, rate.freedom), rate.freedom)


def _bootstrap(runs: Array, name: str, cycles: int, resamples: int, seed: int) -> tuple[Rate, Array]:
    """The rate, and standard errors (cycle,) of the law's increments, from trials drawn with replacement."""
    # Whole trials are drawn, not cycles: the noise of neighbouring cycles is correlated.
    generator = np.random.default_rng(seed)
    cycle = np.arange(1.0, runs.shape[1] + 1)
    means = [runs[generator.integers(len(runs), size=len(runs))].mean(axis=0) for _ in range(resamples)]
    increments = [fit_law(name, cycle, mean).increments(1, cycles) for mean in means]
    rates = np.array([fit_law("geometric", cycle, mean).rates[0] for mean in means])
    rate = fit_law("geometric", cycle, runs.mean(axis=0)).rates[0]
    low, high = np.quantile(rates, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    # With few resamples the quantiles may exclude the estimate, which the schema does not allow.
    ends = min(float(low), rate), max(float(high), rate)
    return Rate(rate, float(rates.std(ddof=1)), ends, len(runs) - 1), np.std(increments, axis=0, ddof=1)
