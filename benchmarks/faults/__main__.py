"""Kill work at random moments, take its disk away, and check that nothing is lost and nothing is left.

python -m benchmarks.faults [WORK ...] --kills 25 --only kills "full disks"

Each trial starts the work in a process of its own, kills it with SIGKILL at a random moment, and starts it again. What
was there after the kill must be whole: the old content, the new one, or none. The second start must end with the bytes
of an undisturbed run and leave no temporary file. A training gets twice as many kills. Then the same work runs on full
disks of several sizes: a quota on the size of a file, and a small tmpfs where mounting is allowed. There it also
continues on a disk that became read-only, which it must refuse in a sentence.
"""

import sys
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.faults.trials import Counts, full_disks, kills, read_only_disks
from benchmarks.faults.works import WORKS, Work
from benchmarks.report import RESULTS, option_parser, write_report
from rmaat.base.files import read_json
from rmaat.base.provenance import processor

COMMAND = "python -m benchmarks.faults"
KINDS = ("kills", "full disks", "read-only disks")


def main() -> int:
    """Run the trials, print the counts and write JSON."""
    parser = option_parser(__doc__, RESULTS / "faults.json")
    parser.add_argument("works", nargs="*", metavar="WORK", help=", ".join(work.name for work in WORKS))
    parser.add_argument("--kills", type=int, default=25, help="of each kind of work [default: 25]")
    parser.add_argument("--seed", type=int, default=0, help="of the moments [default: 0]")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS, help="kinds of trials [default: all]")
    options = parser.parse_args()
    torch.set_num_threads(1)
    trials: dict[str, Callable[[Work], Counts]] = {
        "kills": lambda work: kills(work, options.kills * work.factor, options.seed),
        "full disks": full_disks,
        "read-only disks": read_only_disks,
    }
    # A part of the trials again: their counts replace the earlier ones.
    is_part = bool(options.works) or len(options.only) < len(KINDS)
    found = read_json(options.out)["works"] if is_part and options.out.is_file() else {}
    for work in WORKS:
        if options.works and work.name not in options.works:
            continue
        for kind in options.only:
            found.setdefault(work.name, {})[kind] = trials[kind](work)
            print(f"{work.name:22} {kind:16} {found[work.name][kind]}", flush=True)
        # After each kind of work, so that a stop loses one at most.
        write_report(options.out, COMMAND, processor(), ("numpy", "torch"), totals(found))
    return 1 if totals(found)["faults"] else 0


def totals(found: dict[str, dict[str, Counts]]) -> dict[str, Any]:
    """The counts by kind of work and of trial, and the sums of trials and faults."""
    sums = {kind: sum(counts[kind]["trials"] for counts in found.values() if kind in counts) for kind in KINDS}
    faults = sum(counts["faults"] for kinds in found.values() for counts in kinds.values())
    return {**sums, "faults": faults, "works": found}


if __name__ == "__main__":
    sys.exit(main())
