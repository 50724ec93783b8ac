"""Retention factors that are learned with the weights; they start from the tables.

| setting `retention` | learned | RF(t, T) | start |
| --- | --- | --- | --- |
| `learned` | an increment per segment | Delta_t / sum_{i<=T} Delta_i | increments of the tables |
| `learned_rate` | the rate a | the same, Delta_t = exp(-a (t - 1)) | a of the geometric law |
| `learned_stretch` | rate a, stretch b | the same, Delta_t = exp(-(a (t - 1))^b) - exp(-(a t)^b) | the law |
| `learned_saturation` | a factor per segment | RF(t), without T | variant saturation of the tables |

Increments, rate and stretch are learned as logarithms, and a factor as its logit, so all are positive and factors are
below 1. A law of two rates starts `learned_stretch` at a and b = 1. A stretch above 1 gives increments that first grow,
which no law of the tables has. The forms are ours.
"""

import math
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from distill.schema import LEARNED, law_of
from distill.tables import Tables
from rmaat.base.arrays import Array

_LEAST = 1e-30
"""Share of the largest increment that a learned increment starts with at least; 0 has no logarithm."""


class LearnedIncrements(nn.Module):
    """RF(t, T) from learned increments, as the variant increment takes it from simulated ones."""

    def logarithms(self) -> Float[Tensor, " segment"]:
        """The logarithm of each increment, up to a constant."""
        raise NotImplementedError

    def parts(self) -> tuple[Float[Tensor, " segment"], Float[Tensor, " segment"]]:
        """w(t) and W(T), with RF(t, T) = w(t) / W(T)."""
        logarithms = self.logarithms()
        # RF does not depend on the unit of the increments; in that of the largest one none overflows.
        increments = torch.exp(logarithms - logarithms.detach().max())
        return increments, increments.cumsum(0)

    def forward(self, segments: int, counts: Int[Tensor, " batch"]) -> Float[Tensor, "segment batch"]:
        """RF(t, T) for t up to `segments` and T = `counts`; values with t > T are meaningless."""
        weight, total = self.parts()
        return weight[:segments, None] / total[counts - 1]


class FreeIncrements(LearnedIncrements):
    """An increment for each segment."""

    def __init__(self, increments: Array):
        super().__init__()
        relative = torch.from_numpy(increments / increments.max())
        self.log_increment = nn.Parameter(relative.clamp(min=_LEAST).log().float())

    def logarithms(self) -> Float[Tensor, " segment"]:
        """As `LearnedIncrements.logarithms`."""
        return self.log_increment


class GeometricIncrements(LearnedIncrements):
    """Increments that fall by exp(-a) a segment, with one learned rate a."""

    def __init__(self, rate: float, segments: int):
        super().__init__()
        self.segments = segments
        self.log_rate = nn.Parameter(torch.tensor(math.log(rate)))

    def logarithms(self) -> Float[Tensor, " segment"]:
        """As `LearnedIncrements.logarithms`."""
        return -self.log_rate.exp() * torch.arange(self.segments).to(self.log_rate)


class StretchedIncrements(LearnedIncrements):
    """Increments of the law 1 - exp(-(a t)^b), with a learned rate a and stretch b."""

    def __init__(self, rate: float, stretch: float, segments: int):
        super().__init__()
        self.segments = segments
        self.log_rate = nn.Parameter(torch.tensor(math.log(rate)))
        self.log_stretch = nn.Parameter(torch.tensor(math.log(stretch)))

    def logarithms(self) -> Float[Tensor, " segment"]:
        """As `LearnedIncrements.logarithms`."""
        cycle = torch.arange(1, self.segments + 1).to(self.log_rate)
        # The bounds keep logarithms finite where a law is flat, or has ended, within the precision of float32.
        late = torch.exp(self.log_stretch.exp() * (self.log_rate + cycle.log())).clamp(max=1e30)
        # At t = 0 the exponent is 0. As a power of 0 its derivative would be infinite for b < 1.
        early = torch.cat([late.new_zeros(1), late[:-1]])
        return -early + torch.log(-torch.expm1((early - late).clamp(max=-_LEAST)))


class LearnedFactors(nn.Module):
    """A factor RF(t) for each segment, between 0 and 1, which does not depend on the number of segments."""

    def __init__(self, factors: Array):
        super().__init__()
        # In float64, because 1 - RF loses digits where RF is close to 1.
        start = torch.from_numpy(factors).clamp(_LEAST, 1 - 1e-7)
        self.logit = nn.Parameter((start.log() - torch.log1p(-start)).float())

    def parts(self) -> tuple[Float[Tensor, " segment"], Float[Tensor, " segment"]]:
        """w(t) and W(T) = 1, with RF(t) = w(t) / W(T)."""
        factors = torch.sigmoid(self.logit)
        return factors, torch.ones_like(factors)

    def forward(self, segments: int, counts: Int[Tensor, " batch"]) -> Float[Tensor, "segment batch"]:
        """As `LearnedIncrements.forward`."""
        weight, _ = self.parts()
        return weight[:segments, None].expand(-1, len(counts))


LearnedRetention = LearnedIncrements | LearnedFactors


def _free(tables: Tables, segments: int) -> LearnedRetention:
    # Tables with a learned curve are from an earlier training, which this one continues.
    variant = LEARNED if LEARNED in tables.variants else "increment"
    return FreeIncrements(tables.retention_parts(segments, variant)[0])


def _geometric(tables: Tables, segments: int) -> LearnedRetention:
    return GeometricIncrements(tables.increment_rate, segments)


def _stretched(tables: Tables, segments: int) -> LearnedRetention:
    law = law_of(tables.dataset)
    has_one_rate = len(law.rates) == 1
    return StretchedIncrements(
        law.rates[0] if has_one_rate else tables.increment_rate, law.stretch if has_one_rate else 1.0, segments
    )


def _saturating(tables: Tables, segments: int) -> LearnedRetention:
    return LearnedFactors(tables.retention(segments, "saturation"))


LEARNED_RETENTIONS: Mapping[str, Callable[[Tables, int], LearnedRetention]] = {
    LEARNED: _free,
    "learned_rate": _geometric,
    "learned_stretch": _stretched,
    "learned_saturation": _saturating,
}
"""The learned forms by their name in the setting `retention`; each makes its module from tables and a length."""
