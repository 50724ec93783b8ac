"""Compare figures of our task data with those of the references, and measure how long generation takes.

python -m benchmarks.tasks [--out benchmarks/results/tasks.json] [--samples 100000] [--images 2000] [--data FOLDER]

Each line holds a figure of our data beside that of the reference: the authors' ListOps grammar, the original Pathfinder
generator, and measurements on the official files of Text and Image. Times are those of one core. Tasks that are read
from files are included if the folder of prepared data holds them.
"""

import statistics
import time
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np

from benchmarks.report import RESULTS, option_parser, write_report
from benchmarks.timing import timed
from model.tasks import TaskError, trivial_levels
from model.tasks.data.dataset import TaskParameters
from model.tasks.data.encoding import from_images
from model.tasks.image import ImageParameters
from model.tasks.library import TASKS, load_task
from model.tasks.listops import OFFICIAL, evaluate, samples, value_of_top, walk
from model.tasks.pairs import SameFilmParameters
from model.tasks.pathfinder.task import DIFFICULTIES, PathfinderParameters, draw_images
from model.tasks.text import TextParameters
from model.tasks.trivial_levels import linear_probe
from rmaat.base.provenance import processor
from rmaat.base.text import table

ACCURACY_BY_DEPTH = {1: 0.485, 2: 0.673, 3: 0.800}
"""Accuracy on ListOps by the number of levels of lists that are read; measured on LRA's grammar."""


@dataclass(frozen=True)
class ImageFigures:
    """Figures of images of the original Pathfinder generator; the first two have standard errors."""

    mean: float
    mean_error: float
    lit: float
    """share of pixels of at least 64"""
    lit_error: float
    bright: float
    """share of pixels of at least 200"""
    any_light: float
    """share of pixels above 0"""


PATHFINDER = {
    "easy": ImageFigures(12.77, 0.12, 0.0749, 0.0007, 0.0140, 0.223),
    "middle": ImageFigures(15.56, 0.14, 0.0941, 0.0008, 0.0149, 0.267),
    "hard": ImageFigures(20.39, 0.11, 0.1271, 0.0007, 0.0160, 0.345),
}


@dataclass(frozen=True)
class Figure:
    """One measured figure and its reference."""

    task: str
    what: str
    here: float
    reference: str


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = option_parser(__doc__, RESULTS / "tasks.json")
    parser.add_argument("--samples", type=int, default=100_000, help="ListOps expressions [default: 100000]")
    parser.add_argument("--images", type=int, default=2000, help="Pathfinder images a difficulty [default: 2000]")
    parser.add_argument("--data", type=Path, default=Path("runs/data"), help="prepared data [default: runs/data]")
    options = parser.parse_args()
    figures = listops_figures(options.samples)
    for difficulty in DIFFICULTIES:
        figures += pathfinder_figures(difficulty, options.images)
    for parameters in (TextParameters(), ImageParameters(), SameFilmParameters()):
        figures += file_figures(parameters, options.data)
    rows = [(figure.task, figure.what, _number(figure.here), figure.reference) for figure in figures]
    print(table(rows, ("task", "figure", "here", "reference")))
    content = {"figures": [asdict(figure) for figure in figures]}
    command = f"python -m benchmarks.tasks --samples {options.samples} --images {options.images}"
    write_report(options.out, command, processor(), ("numpy", "numba"), content)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def listops_figures(count: int) -> list[Figure]:
    """Measure `count` samples of the official setting: time, kept share, lengths, labels, accuracy by levels read."""
    seconds, pairs = timed(
        lambda: [(tokens, evaluate(tokens)) for tokens in islice(samples(OFFICIAL), count)], time.process_time
    )
    draw, walks = Random(1).random, 20_000
    kept = sum(OFFICIAL.shortest_length < len(walk(OFFICIAL, draw)) < OFFICIAL.longest_length for _ in range(walks))
    lengths = [len(tokens) for tokens, _ in pairs]
    labels = np.bincount([value for _, value in pairs], minlength=10) / count
    name = f"ListOps, n = {count:,}"
    ladder = [
        Figure(
            name,
            f"share right by reading {levels} level{'s' * (levels > 1)}",
            statistics.mean(value_of_top(tokens, levels) == value for tokens, value in pairs),
            f"{expected:g}",
        )
        for levels, expected in ACCURACY_BY_DEPTH.items()
    ]
    return [
        Figure(name, "minutes for 100,000", seconds / count * 1e5 / 60, "at most 2.5"),
        Figure(name, f"share of {walks:,} walks kept", kept / walks, "0.082"),
        Figure(name, "shortest", min(lengths), "more than 500"),
        Figure(name, "longest", max(lengths), "less than 2,000"),
        Figure(name, "mean length", statistics.mean(lengths), "1,064 of 3,000; the grammar's is 1,036"),
        Figure(name, "share of label 0", labels[0], "about 0.17"),
        Figure(name, "share of label 9", labels[9], "about 0.17"),
        Figure(name, "least share of another label", min(labels[1:9]), "0.076"),
        Figure(name, "greatest share of another label", max(labels[1:9]), "0.091"),
        *ladder,
    ]


def pathfinder_figures(difficulty: str, count: int) -> list[Figure]:
    """Measure `count` images of 32 x 32: time, grey values, labels."""
    parameters, expected = PathfinderParameters(difficulty=difficulty), PATHFINDER[difficulty]
    draw_images(parameters, 1)  # compiles the loops, which must not count
    seconds, (images, labels) = timed(lambda: draw_images(parameters, count), time.process_time)
    half = count // 2
    probe = linear_probe(from_images(images[:half], labels[:half]), from_images(images[half:], labels[half:]))
    grey, name = images.mean(axis=(1, 2)), f"Pathfinder {difficulty}, n = {count:,}"
    apart = 2 * grey.std() / count**0.5
    limit = "at most 15" if difficulty == "hard" else ""
    return [
        Figure(name, "ms an image", 1000 * seconds / count, limit),
        Figure(name, "mean grey value", grey.mean(), f"{expected.mean:g} ± {expected.mean_error:g}"),
        Figure(name, "share of at least 64", (images >= 64).mean(), f"{expected.lit:g} ± {expected.lit_error:g}"),
        Figure(name, "share of at least 200", (images >= 200).mean(), f"{expected.bright:g}"),
        Figure(name, "share above 0", (images > 0).mean(), f"{expected.any_light:g}"),
        Figure(name, "share of label 1", labels.mean(), f"0.5 ± {0.5 / count**0.5:.2g}"),
        Figure(
            name, "mean grey, label 1 less 0", grey[labels == 1].mean() - grey[labels == 0].mean(), f"0 ± {apart:.2g}"
        ),
        Figure(name, "linear probe", probe.accuracy, f"0.5 ± {0.5 / half**0.5:.2g}"),
    ]


FILES = {
    "text": {"naive Bayes on words": "0.827, of all 25,000 training reviews"},
    "image": {"linear probe on pixels": "0.275, of all 50,000 training pictures"},
    "same_film": {},
}
"""Known accuracies of the trivial levels, by task."""


def file_figures(parameters: TaskParameters, data: Path) -> list[Figure]:
    """Return counts and trivial levels of a task that is read from files; nothing if `data` lacks it."""
    try:
        task = load_task(parameters, None, data)
    except TaskError as error:
        print(error)
        return []
    known, title = FILES[parameters.kind], TASKS[parameters.kind].title
    counts = [Figure(title, f"{split} sequences", len(dataset), "") for split, dataset in task.splits.items()]
    levels = [Figure(title, level.name, level.accuracy, known.get(level.name, "")) for level in trivial_levels(task)]
    return [*counts, Figure(title, "longest sequence", task.longest, ""), *levels]


if __name__ == "__main__":
    main()
