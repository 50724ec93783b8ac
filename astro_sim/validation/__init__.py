"""Compares the models with published numbers and with numbers from independent code.

    outcomes = validate()
    print(as_markdown(outcomes))

Each module of this package checks one subject. To add a row to the table, add a `Check` to the `CHECKS` of a module.
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
    """The checks that need no optional package, or one of `packages`."""
    return [check for check in CHECKS if not check.needs or check.needs in packages]


def validate(progress: Progress, checks: Sequence[Check] = CHECKS) -> list[Outcome]:
    """Measure all `checks`, in order; calls `progress` with the fraction done."""
    outcomes = []
    for count, check in enumerate(checks, start=1):
        outcomes.append(Outcome(check, check.measure()))
        progress(count / len(checks))
    return outcomes


def as_markdown(outcomes: Sequence[Outcome]) -> str:
    """The text of `docs/validation.md`: an introduction and a table with one row per outcome."""
    lines = [
        "| " + " | ".join(cells) + " |" for cells in (HEADER, ("---",) * len(HEADER), *(o.row() for o in outcomes))
    ]
    return INTRODUCTION + "\n".join(lines) + "\n"


INTRODUCTION = """\
# Validation

Each row compares a quantity of our models with a published number, or with a number from independent code.
`rmaat validate --with brian2 --out docs/validation.md --overwrite` writes this page; do not edit it. Without
`--with brian2` the command skips the spiking model. It exits with status 1 if a row fails.

"""
