"""How small a change of its model each check of `rmaat validate` notices.

python -m benchmarks.bites [PATTERN] --only CONSTANT ...

A constant is changed where the models use it, and the parameters stay: a check that computes its reference from the
same parameters cannot follow. Each constant that a check's model uses is doubled; if the check passes, its sign is
flipped. Then the two constants whose doubling moves the value most are changed by less and less, by 10 %, 1 % and so
on, while the check fails. The command exits with 1 if a check notices nothing, or if no check notices a constant.
PATTERN chooses rows by a regular expression; without one, the rows of the spiking model are left out, because each
change of its constants needs a build.
"""

import copy
import dataclasses
import math
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from astro_sim.biophysics.system import Event, System
from astro_sim.equations.right_hand_side import RightHandSide
from astro_sim.runs import simulate
from astro_sim.validation import (
    CHECKS,
    Check,
    Outcome,
    calcium,
    plasticity,
    rate_equations,
    rate_model,
    release,
    spiking,
    waves,
)
from benchmarks.report import RESULTS, option_parser, write_report
from rmaat.base.files import read_json
from rmaat.base.provenance import processor
from rmaat.base.records import Record

COMMAND = "python -m benchmarks.bites"
MODULES = (calcium, waves, release, plasticity, rate_equations, rate_model, spiking)
LEAST = -8
"""Power of ten of the smallest change."""
MOST_SECONDS = 10.0
"""CPU time of a check whose model is changed; without a change none takes more than a few."""
CANDIDATES = 2
"""Number of constants of which the smallest change is looked for."""
WORDS = {2: "doubled", -1: "flipped", 0: "unnoticed"}
"""The lists of constants in the report."""


@dataclass(frozen=True)
class Entry:
    """Where constants enter a model: functions, each with the place of the constants among its arguments."""

    name: str
    functions: tuple[tuple[Any, str, int], ...]


ENTRIES = (
    Entry("equations", ((System, "with_constants", 1), (Event, "with_constants", 1), (RightHandSide, "__init__", 2))),
    Entry("stability", ((simulate, "check_stability", 2),)),
    Entry("coupling", ((simulate, "build_coupling", 1), (rate_model, "build_coupling", 1))),
    Entry("release", ((release, "release_at", 0),)),
    Entry("mean field", ((release, "mean_release", 0),)),
    Entry("pairs", ((plasticity, "drift_under_pairs", 0),)),
    Entry("spiking", ((spiking, "simulate_biophysical", 0),)),
)


@dataclass(frozen=True)
class Constant:
    """A constant by name, at one entry."""

    entry: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.entry})"


Values = Callable[[Any], Any]
"""From the constants that enter a function to those that it gets."""


@contextmanager
def entering(values: Mapping[str, Values]) -> Iterator[None]:
    """Pass all constants of an entry through a function, by the entry's name; nothing that was computed is kept."""
    forget()
    with ExitStack() as stack:
        for entry in ENTRIES:
            for owner, name, place in entry.functions if entry.name in values else ():
                passed = _passing(getattr(owner, name), place, values[entry.name])
                stack.enter_context(mock.patch.object(owner, name, passed))
        yield
    forget()


def _passing(function: Callable[..., Any], place: int, change: Values) -> Callable[..., Any]:
    def passed(*arguments: Any, **others: Any) -> Any:
        changed = [*arguments[:place], change(arguments[place]), *arguments[place + 1 :]]
        return function(*changed, **others)

    return passed


def forget() -> None:
    """Drop every cached result of the models; the second implementation does not depend on them."""
    for module in MODULES:
        for name, function in vars(module).items():
            if name != "second_solution" and hasattr(function, "cache_clear"):
                function.cache_clear()


class _Reads(set[str]):
    """The names of the numbers that a function reads of a record."""

    def of(self, record: Record) -> Record:
        """A copy of `record` whose reads are added."""
        reads, kind = self, type(record)

        class Watched(kind):
            def __getattribute__(self, name: str) -> Any:
                value = kind.__getattribute__(self, name)
                if type(value) is float and value != 0:
                    reads.add(name)
                return value

        watched = copy.copy(record)
        object.__setattr__(watched, "__class__", Watched)
        return watched


def numbers_of(constants: Any) -> dict[str, float]:
    """Name and value of each number that is not 0, of a mapping or of a record with its groups."""
    if isinstance(constants, Record):
        entries = [(entry.name, getattr(constants, entry.name)) for entry in dataclasses.fields(constants)]
    else:
        entries = list(constants.items())
    found: dict[str, float] = {}
    for name, value in entries:
        if isinstance(value, Record):
            found |= numbers_of(value)
        elif type(value) is float and value != 0:
            found[name] = value
    return found


def multiplied(constants: Any, name: str, factor: float) -> Any:
    """A copy of a mapping or a record in which one number is multiplied, also beyond its bounds."""
    if name not in numbers_of(constants):
        return constants
    if not isinstance(constants, Record):
        return {**constants, name: constants[name] * factor}
    changed = copy.copy(constants)
    for entry in dataclasses.fields(constants):
        value = getattr(constants, entry.name)
        if isinstance(value, Record):
            object.__setattr__(changed, entry.name, multiplied(value, name, factor))
        elif entry.name == name:
            object.__setattr__(changed, name, value * factor)
    return changed


def constants_of(check: Check) -> set[Constant]:
    """The constants that enter the model of `check` while it is measured."""
    found = {entry.name: _Reads() for entry in ENTRIES}

    def watching(reads: _Reads) -> Values:
        def watch(constants: Any) -> Any:
            # The reads of a record with groups would be those of its groups: all of its numbers count.
            if isinstance(constants, Record) and not any(
                isinstance(value, Record) for value in vars(constants).values()
            ):
                return reads.of(constants)
            reads.update(numbers_of(constants))
            return constants

        return watch

    with entering({name: watching(reads) for name, reads in found.items()}):
        Outcome.of(check)
    return {Constant(entry, name) for entry, reads in found.items() for name in reads}


def measured(checks: list[Check], constant: Constant, factor: float) -> dict[str, Outcome]:
    """The outcomes of `checks` by quantity, with one constant multiplied; they share what they compute."""
    with entering({constant.entry: lambda constants: multiplied(constants, constant.name, factor)}):
        found: dict[str, Outcome] = {}
        for check in checks:
            # Rows of one subject share a run: one that never ends is waited for once.
            alike = [outcome for name, outcome in found.items() if name.split(":")[0] == check.quantity.split(":")[0]]
            is_stuck = any(isinstance(outcome.error, TimeoutError) for outcome in alike)
            found[check.quantity] = Outcome(check, math.nan, TimeoutError()) if is_stuck else _in_time(check)
        return found


def _in_time(check: Check) -> Outcome:
    """The outcome of `check`; it fails after `MOST_SECONDS`, because a changed model may never end."""

    def stop(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    try:
        return Outcome.of(check)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def shift(outcome: Outcome, value: float) -> float:
    """How far a value moved from `value`, in widths of what passes; 0 if there is no value, which ranks last."""
    moved = abs(outcome.value - value) / (outcome.check.high - outcome.check.low)
    return moved if math.isfinite(moved) else 0.0


@dataclass(frozen=True)
class Bite:
    """What one check notices.

    Attributes
    ----------
    constants : mapping
        Each constant of the model by its text: 2 if doubling it is noticed, -1 if only a flipped sign is, else 0.
    smallest : float
        The smallest relative change that is noticed; NaN if none is.
    of : str
        The constant with that change.
    """

    constants: Mapping[str, int]
    smallest: float
    of: str


def bites(checks: list[Check], only: list[str]) -> dict[str, Bite]:
    """What each of `checks` notices, by quantity; of the constants `only`, unless that is empty."""
    users: dict[Constant, list[Check]] = {}
    values = {}
    for check in checks:
        values[check.quantity] = Outcome.of(check).value
        for constant in constants_of(check):
            if not only or constant.name in only:
                users.setdefault(constant, []).append(check)
    noticed: dict[str, dict[str, int]] = {check.quantity: {} for check in checks}
    moved: dict[str, dict[Constant, float]] = {check.quantity: {} for check in checks}
    for constant, using in sorted(users.items(), key=lambda item: str(item[0])):
        doubled = measured(using, constant, 2.0)
        passed = [check for check in using if doubled[check.quantity].passed]
        flipped = measured(passed, constant, -1.0) if passed else {}
        for name in (check.quantity for check in using):
            if not doubled[name].passed:
                noticed[name][str(constant)] = 2
                moved[name][constant] = shift(doubled[name], values[name])
            # A constant that moves nothing is in no equation of this check.
            elif not doubled[name].value == flipped[name].value == values[name]:
                noticed[name][str(constant)] = 0 if flipped[name].passed else -1
        print(f"{constant}: doubled, noticed by {len(using) - len(passed)} of {len(using)}", flush=True)
    smallest = _smallest(checks, moved)
    return {check.quantity: Bite(noticed[check.quantity], *smallest[check.quantity]) for check in checks}


def _smallest(checks: list[Check], moved: Mapping[str, Mapping[Constant, float]]) -> dict[str, tuple[float, str]]:
    """The smallest noticed change of each check and its constant, among those whose doubling moves the value most."""
    found: dict[str, tuple[float, str]] = {check.quantity: (math.nan, "") for check in checks}
    tried: dict[Constant, list[Check]] = {}
    for check in checks:
        ranked = sorted(moved[check.quantity].items(), key=lambda item: -item[1])
        for constant, _ in ranked[:CANDIDATES]:
            tried.setdefault(constant, []).append(check)
    for constant, using in tried.items():
        for name, change in _descended(using, constant).items():
            if not found[name][0] <= change:
                found[name] = change, str(constant)
    return found


def _descended(checks: list[Check], constant: Constant) -> dict[str, float]:
    """The smallest change of `constant` that each check notices, by quantity; a doubling fails all of them."""
    found = dict.fromkeys((check.quantity for check in checks), 1.0)
    for power in range(-1, LEAST - 1, -1):
        failing = [check for check in checks if found[check.quantity] == 10.0 ** (power + 1)]
        # First by ten, and by five and two only where ten times less is not noticed.
        for digit in (1, 2, 5):
            outcomes = measured(failing, constant, 1 + digit * 10.0**power) if failing else {}
            for name, outcome in outcomes.items():
                if not outcome.passed:
                    found[name] = digit * 10.0**power
            failing = [check for check in failing if outcomes[check.quantity].passed]
    return found


def main() -> int:
    """Measure the checks, print a table and write JSON."""
    parser = option_parser(__doc__, RESULTS / "bites.json")
    parser.add_argument("pattern", nargs="?", default="^(?!spiking)", help="of the rows [default: all but spiking]")
    parser.add_argument("--only", nargs="+", default=[], help="constants to change [default: all]")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    chosen = [check for check in CHECKS if re.search(options.pattern, check.quantity)]
    found = bites(chosen, options.only)
    is_part = len(chosen) < len(CHECKS) and options.out.is_file()
    rows = (read_json(options.out)["checks"] if is_part else {}) | {
        name: {
            "smallest": None if math.isnan(bite.smallest) else bite.smallest,
            "of": bite.of,
            **{word: [name for name, factor in bite.constants.items() if factor == key] for key, word in WORDS.items()},
        }
        for name, bite in found.items()
    }
    for name, row in ((name, rows[name]) for name in found):
        change = "nothing" if row["smallest"] is None else f"{row['smallest']:.1g} of {row['of']}"
        counts = ", ".join(f"{len(row[word])} {word}" for word in WORDS.values())
        print(f"{name:80} {change:40} {counts}")
    content = totals(rows)
    print(content["unnoticed"])
    write_report(options.out, COMMAND, processor(), ("numpy", "scipy"), content | {"checks": rows})
    return 1 if content["toothless"] or content["unnoticed"] else 0


def totals(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Counts over the checks, the checks that notice nothing, and the constants that no check notices."""
    smallest = [row["smallest"] for row in rows.values() if row["smallest"] is not None]
    noticed, unnoticed = (
        {constant for row in rows.values() for word in words for constant in row[word]}
        for words in (("doubled", "flipped"), ("unnoticed",))
    )
    return {
        "rows": len(rows),
        "within_1_percent": sum(change <= 0.01 for change in smallest),
        "within_10_percent": sum(change <= 0.1 for change in smallest),
        "within_a_doubling": len(smallest),
        "toothless": [name for name, row in rows.items() if not row["doubled"] + row["flipped"]],
        "unnoticed": sorted(unnoticed - noticed),
    }


if __name__ == "__main__":
    sys.exit(main())
