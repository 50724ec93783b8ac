"""The models beside numbers that were published, or that code which shares nothing with ours computed.

    outcomes = validate()
    print(as_markdown(outcomes))

A check is a value: add one to the `CHECKS` of a file here, and it stands in the table.
"""

from collections.abc import Sequence

from astro_sim.validation import calcium, plasticity, rate_model, release, spiking, waves
from astro_sim.validation.check import HEADER, Check, Outcome
from rmaat.base.progress import Progress

CHECKS = (
    *calcium.CHECKS,
    *waves.CHECKS,
    *release.CHECKS,
    *plasticity.CHECKS,
    *rate_model.CHECKS,
    *spiking.CHECKS,
)
"""Every check, in the order of the table."""

__all__ = ["CHECKS", "HEADER", "Check", "Outcome", "as_markdown", "checks_with", "validate"]


def checks_with(packages: Sequence[str]) -> list[Check]:
    """The checks that need nothing but `packages`."""
    return [check for check in CHECKS if not check.needs or check.needs in packages]


def validate(progress: Progress, checks: Sequence[Check] = CHECKS) -> list[Outcome]:
    """Measure every one of `checks`; `progress` is told the fraction done."""
    outcomes = []
    for count, check in enumerate(checks, start=1):
        outcomes.append(Outcome(check, check.measure()))
        progress(count / len(checks))
    return outcomes


def as_markdown(outcomes: Sequence[Outcome]) -> str:
    """The page `docs/validation.md`."""
    lines = [
        "| " + " | ".join(cells) + " |" for cells in (HEADER, ("---",) * len(HEADER), *(o.row() for o in outcomes))
    ]
    return INTRODUCTION + "\n".join(lines) + "\n"


INTRODUCTION = """\
# Validation

Written by `rmaat validate --with brian2 --out docs/validation.md --overwrite`; not by hand. Each row is a quantity of
our models beside a published number, or one that code which shares nothing with ours computed. Without
`--with brian2` the spiking model is left out. `rmaat validate` ends with status 1 where a row fails.

"""
