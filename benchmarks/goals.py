"""Print the goals of speed and memory beside what was measured last, and by how much each is missed.

python -m benchmarks.goals reads the files in benchmarks/results; `make bench` runs it at the end.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import training_share
from benchmarks.peers import Size, speed_bound
from benchmarks.report import RESULTS
from rmaat.base.text import table

Results = Mapping[str, Any]
PUBLISHED, BEST, OURS = (
    "RMT as published: eager softmax, BPTT", "RMT at its best: fused, our replay, compiled", "RMAAT, AMRB, compiled",
)  # fmt: skip


@dataclass(frozen=True)
class Goal:
    """A goal and the measured number; `at_most` says whether smaller is better."""

    what: str
    measured: float
    goal: float
    at_most: bool = False

    @property
    def missed_by(self) -> float:
        """Share of the goal that is missing; 0 if it is met."""
        excess = self.measured - self.goal if self.at_most else self.goal - self.measured
        return max(0.0, excess / self.goal)

    def row(self) -> tuple[str, ...]:
        """The cells of its row."""
        verdict = f"missed by {self.missed_by:.0%}" if self.missed_by else "met"
        return self.what, f"{self.measured:.3g}", f"{'at most' if self.at_most else 'at least'} {self.goal:g}", verdict


def main() -> None:
    """Print the goals of every file of results that is there."""
    goals = [goal for name, read in READERS.items() for goal in _read(RESULTS / name, read)]
    print(table([goal.row() for goal in goals], ("figure", "measured", "goal", "")))


def _read(path: Path, goals: Callable[[Results], Iterator[Goal]]) -> Iterator[Goal]:
    if path.exists():
        yield from goals(json.loads(path.read_text(encoding="utf-8")))


def peers(results: Results) -> Iterator[Goal]:
    """Against RMT as published and at its best."""
    by_length = results["by_segment_length"]
    first = by_length["512"]
    size = results["size"]
    yield Goal("speed beside RMT as published, segments of 512", _ratio(first, PUBLISHED, OURS, "seconds"), 1.9)
    yield Goal("RMT's memory as published beside ours, the same", _ratio(first, PUBLISHED, OURS, "peak_bytes"), 20)
    for length, found in by_length.items():
        bound = speed_bound(Size(**{**size, "segment_length": int(length)}))
        share = _ratio(found, BEST, OURS, "seconds") / bound
        yield Goal(f"share of the bound beside RMT at its best, segments of {length}", share, 0.9)


def _ratio(found: Results, theirs: str, ours: str, quantity: str) -> float:
    return found[theirs][quantity] / found[ours][quantity]


def replay(results: Results) -> Iterator[Goal]:
    """Time and memory of replay beside BPTT, with 16 segments of one sequence."""
    for cost in results["costs"]:
        if cost["goal"] and cost["batch"] == 1:
            case = f"{cost['way']}, readout {cost['readout']}"
            yield Goal(f"{case}: time beside BPTT", cost["time_ratio"], cost["goal"]["time_ratio"], at_most=True)
            yield Goal(
                f"{case}: BPTT's memory beside its own", 1 / cost["memory_ratio"], 1 / cost["goal"]["memory_ratio"]
            )


def row_blocks(results: Results) -> Iterator[Goal]:
    """Memory over the length of a segment."""
    peaks = {row["segment_length"]: row["peak_bytes"] for row in results["results"] if row["method"] == "AMRB"}
    growth = peaks[4096]["blocks"] / peaks[512]["at once"]
    yield Goal("AMRB: memory at segments of 4,096, in blocks, beside 512", growth, 1.5, at_most=True)


def inference(results: Results) -> Iterator[Goal]:
    """Speed beside the fastest other model at each length."""
    cases = dict.fromkeys((row["length"], row["batch"]) for row in results["results"])
    for length, batch in cases:
        speeds = {
            row["model"]: row["bytes_per_second"]
            for row in results["results"]
            if (row["length"], row["batch"]) == (length, batch)
        }
        others = [speed for name, speed in speeds.items() if not name.startswith("RMAAT")]
        if others:
            yield Goal(
                f"inference, {batch} x {length:,} bytes: speed beside the best other", speeds["RMAAT"] / max(others), 1
            )


def share(results: Results) -> Iterator[Goal]:
    """What a training spends beside its steps."""
    what = "share of a training beside its steps"
    yield Goal(what, results["beside_the_steps"], training_share.GOAL, at_most=True)


READERS: dict[str, Callable[[Results], Iterator[Goal]]] = {
    "peers.json": peers,
    "replay-cpu.json": replay,
    "row-blocks-cpu.json": row_blocks,
    "inference.json": inference,
    "training-share.json": share,
}

if __name__ == "__main__":
    main()
