"""Compares the models with numbers from elsewhere: papers, other codes, formulas, prototypes of our own.

    outcomes = validate(ignore_progress)
    print(as_markdown(outcomes))

Each module of this package checks one subject. To add a row to the table, add a `Check` to the `CHECKS` of a module;
`Kind` says what the row is worth.
"""

from collections import Counter
from collections.abc import Sequence

from astro_sim.validation import calcium, plasticity, rate_equations, rate_model, release, spiking, waves
from astro_sim.validation.check import HEADER, MEANINGS, Check, Kind, Origin, Outcome
from rmaat.base.progress import Progress

CHECKS = (
    *calcium.CHECKS,
    *waves.CHECKS,
    *release.CHECKS,
    *plasticity.CHECKS,
    *rate_equations.CHECKS,
    *rate_model.CHECKS,
    *spiking.CHECKS,
)
"""Every check, in the order of the table."""

__all__ = [
    "CHECKS",
    "HEADER",
    "Check",
    "Kind",
    "Origin",
    "Outcome",
    "as_markdown",
    "checks_with",
    "count_by_kind",
    "validate",
]


def checks_with(packages: Sequence[str]) -> list[Check]:
    """The checks that need no optional package, or one of `packages`."""
    return [check for check in CHECKS if not check.needs or check.needs in packages]


def validate(progress: Progress, checks: Sequence[Check] = CHECKS) -> list[Outcome]:
    """Measure all `checks`, in order; calls `progress` with the fraction done. A check that raises fails."""
    outcomes = []
    for count, check in enumerate(checks, start=1):
        outcomes.append(Outcome.of(check))
        progress(count / len(checks))
    return outcomes


def count_by_kind(outcomes: Sequence[Outcome]) -> dict[Kind, int]:
    """The number of outcomes with each kind of reference, without kinds that have none."""
    counts = Counter(outcome.check.origin.kind for outcome in outcomes)
    return {kind: counts[kind] for kind in Kind if counts[kind]}


def as_markdown(outcomes: Sequence[Outcome]) -> str:
    """The text of `docs/validation.md`: an introduction, the kinds of reference, and one row per outcome."""
    kinds = [(kind, str(count), MEANINGS[kind]) for kind, count in count_by_kind(outcomes).items()]
    rows = _markdown_table(HEADER, [outcome.row() for outcome in outcomes])
    return f"{INTRODUCTION}{_markdown_table(('kind', 'rows', 'reference'), kinds)}\n{rows}"


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "".join("| " + " | ".join(cells) + " |\n" for cells in (header, ("---",) * len(header), *rows))


INTRODUCTION = """\
# Validation

Each row compares a quantity of our models with a reference. The column `kind` says how independent the reference is.
`rmaat validate --with brian2 --out docs/validation.md --overwrite` writes this page; do not edit it. Without
`--with brian2` the command skips the spiking model. It exits with status 1 if a row fails. A row whose computation
raises an exception fails and names the exception.

"""
