"""Read mutants with every reader, and count how each trial ended.

python -m benchmarks.fuzz [READER ...] --mutants 500 --keep build/mutants

A mutant is a file or folder that a reader accepts, with one or two changes (`benchmarks.fuzz.mutations`). Allowed ends:
"refused" with one sentence; "same", where what is read did not change; "other", where a text without a digest is
another valid input. Everything else is a fault, and the command exits with 1. A mutant depends on the seed, the name of
the reader and its number.
"""

import argparse
import collections
import gc
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.fuzz.mutations import copied, mutate
from benchmarks.fuzz.readers import TARGETS, Target
from benchmarks.fuzz.trial import FAULTS, MOST_MEMORY, MOST_SECONDS, Outcome, attempts
from benchmarks.report import RESULTS, option_parser, write_report
from rmaat.base.files import read_json
from rmaat.base.provenance import processor

COMMAND = "python -m benchmarks.fuzz"
ALLOWED = ("refused", "same", "other")


def main() -> int:
    """Fuzz the readers, print the faults and write JSON."""
    parser = option_parser(__doc__, RESULTS / "fuzz.json")
    names = [target.name for target in TARGETS]
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"all by default: {', '.join(names)}")
    parser.add_argument("--mutants", type=int, default=500, help="of each reader [default: 500]")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations [default: 0]")
    parser.add_argument("--keep", type=Path, help="folder for the mutants with a fault")
    options = parser.parse_args()
    chosen = [target for target in TARGETS if not options.readers or target.name in options.readers]
    counts = _earlier(options) if options.readers else {}
    for target in chosen:
        counts[target.name] = fuzz(target, options)
        content = {"seed": options.seed, "most_seconds": MOST_SECONDS, "most_memory": MOST_MEMORY} | totals(counts)
        # After each reader, so that a stop loses one reader at most.
        write_report(options.out, COMMAND, processor(), ("numpy", "xarray", "netCDF4", "torch"), content)
    return 1 if totals(counts)["faults"] else 0


def _earlier(options: argparse.Namespace) -> dict[str, dict[str, int]]:
    """The counts of other readers in an earlier file, of which the chosen readers replace theirs."""
    return read_json(options.out)["by_reader"] if options.out.is_file() else {}


def totals(counts: dict[str, dict[str, int]]) -> dict[str, Any]:
    """The counts by reader, and their sums."""
    sums = collections.Counter[str]()
    for kinds in counts.values():
        sums.update(kinds)
    faults = sum(sums[fault] for fault in (*FAULTS, "unseen change"))
    return {"readers": len(counts), "mutants": sum(sums.values()), "faults": faults, "by_end": dict(sums),
            "by_reader": counts}  # fmt: skip


def fuzz(target: Target, options: argparse.Namespace) -> dict[str, int]:
    """Read all mutants of one reader; return how many ended in each way."""
    counts = collections.Counter[str]()
    # Not TemporaryDirectory: the exit handlers of a trial would remove it.
    place = Path(tempfile.mkdtemp(prefix="rmaat-fuzz-"))
    try:
        for number, outcome in trials(target, options.mutants // target.cost, options.seed, place):
            counts[outcome.kind] += 1
            if outcome.kind not in ALLOWED:
                done = _again(target, options.seed, number, place, options.keep)
                print(f"{target.name} {number} ({done}): {outcome.kind}: {outcome.words}\n", flush=True)
    finally:
        shutil.rmtree(place)
    print(f"{target.name:22} " + ", ".join(f"{count} {kind}" for kind, count in counts.most_common()), flush=True)
    return dict(sorted(counts.items()))


def trials(target: Target, mutants: int, seed: int, place: Path) -> Iterator[tuple[int, Outcome]]:
    """Yield the number and the outcome of each mutant; `place` is an empty folder for them."""
    original, mutant = place / "original", place / "mutant"
    original.mkdir()
    target.make(original)
    (found,) = attempts(target.read, lambda _: copied(original, mutant), 1)
    expected = judged(target, found, None)
    if expected.kind != "same":
        raise SystemExit(f"{target.name}: the original is not read ({expected})")

    def prepare(number: int) -> Path:
        mutate(copied(original, mutant), target.texts, f"{seed} {target.name} {number}")
        return mutant

    # Without this, collecting garbage in a trial would copy the memory of this process.
    gc.freeze()
    for number, outcome in enumerate(attempts(target.read, prepare, mutants)):
        yield number, judged(target, outcome, expected)


def _again(target: Target, seed: int, number: int, place: Path, keep: Path | None) -> str:
    """Make a mutant again, in the folder `keep` if there is one; return what was changed."""
    folder = place / "again" if keep is None else keep / target.name / str(number)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return mutate(copied(place / "original", folder), target.texts, f"{seed} {target.name} {number}")


def judged(target: Target, outcome: Outcome, expected: Outcome | None) -> Outcome:
    """The outcome of a trial beside that of the original: what is read may have changed, or not be finite."""
    if outcome.kind == "not finite" and not target.finite:
        outcome = Outcome("same", "", outcome.value)
    if outcome.kind != "same" or expected is None or outcome.value == expected.value:
        return outcome
    return Outcome("unseen change" if target.sealed else "other", "another value is read", outcome.value)


if __name__ == "__main__":
    sys.exit(main())
