"""Published ranges of the time scales of neurons, synapses and astrocytes, beside which fitted parameters are judged.

The sources are those of the preset `biological`, which has a value within each range.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from astro_sim.parameter_set import SimulationParameters


@dataclass(frozen=True)
class Range:
    """The published range of one parameter, in its unit."""

    low: float
    high: float
    source: str

    def holds(self, value: float) -> bool:
        """Whether `value` is within the range."""
        return self.low <= value <= self.high


PUBLISHED: Mapping[str, Range] = {
    "synapse_time_constant": Range(0.3, 0.5, "short-term plasticity, Stimberg et al. 2019, doi:10.1101/198366"),
    "short_term_time_constant": Range(
        2, 25, "rise and decay of astrocytic calcium in the soma, De Pitta et al. 2012, PMC3528083, table 2"
    ),
    "long_term_time_constant": Range(
        300, 926, "potentiation gone in 10 min, PubMed 3697730, to astrocytes remodelling in 10.7 min, PMC6705321"
    ),
}
"""Ranges in s, by the name of the parameter of the rate model."""


def judged(estimates: Mapping[str, float], errors: Mapping[str, float]) -> Iterator[str]:
    """A sentence for each of the `estimates`: whether it is within its published range, of those that have one.

    `errors` are the standard errors; an estimate counts as consistent with a range that two of them reach.
    """
    for name, value in estimates.items():
        if name not in PUBLISHED:
            continue
        known, error = PUBLISHED[name], errors[name]
        apart = max(known.low - value, value - known.high, 0.0)
        if known.holds(value):
            words = "within"
        elif apart <= 2 * error:
            words = "outside, by less than two standard errors,"
        else:
            words = "outside"
        yield f"{name}, {value:.4g} s, is {words} the published {known.low:g} to {known.high:g} s ({known.source})"


def cycles_for_rate(rate: float, parameters: SimulationParameters) -> str:
    """The cycles that give the `rate` a with a published long-term time constant, as a sentence.

    With restarts and a linear long-term process, retention factors are the one number
    a = long_term_decay x cycle_duration / long_term_time_constant.
    """
    known, decay = PUBLISHED["long_term_time_constant"], parameters.model.long_term_decay
    short, long = (rate * constant / decay for constant in (known.low, known.high))
    return (
        f"a = {rate:.4g} per cycle: with a published long-term time constant, {known.low:g} to {known.high:g} s, "
        f"it takes cycles of {short:.3g} to {long:.3g} s"
    )


def is_one_number(parameters: SimulationParameters) -> bool:
    """Whether retention factors are the rate a alone: fast variables restart, and the long-term process is linear."""
    return parameters.protocol.restart_fast_variables and parameters.form.long_term_growth == "linear"
