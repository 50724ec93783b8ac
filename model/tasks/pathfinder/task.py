"""Pathfinder: are two discs on one dashed curve, among other dashed curves? Generated, or read from LRA's files.

A paddle is a dash; a chain of paddles is a snake. Two long snakes grow on the map first, then shorter distractors on
the free places. One disc marks the start of a long snake. The other disc marks the far end of the same snake (label 1)
or of the other long snake (label 0). Images of both labels hold the same objects; only the link between the discs
differs.

Sources: Linsley et al., Learning long-range spatial dependencies with horizontal gated recurrent units (arXiv
1805.08315). This generator draws the same objects with other code. The settings are those of Tay et al., Long Range
Arena (arXiv 2011.04006). LRA's seeds are not public, so its own images cannot be regenerated.
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from model.tasks.data.dataset import SPLITS, TaskData, TaskError, TaskParameters, TokenDataset
from model.tasks.data.encoding import PIXEL_SYMBOLS, from_images
from model.tasks.data.sources import read_file, refuse_outside
from rmaat.base.extras import require
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.records import Source, parameter
from rmaat.base.workers import core_count

CLASSES = 2
LEVELS = ("commonest_label", "linear_probe")
OFFICIAL_SHARES = (0.8, 0.1, 0.1)
"""Of LRA's images, for training, validation and test."""

_FINER = 2
"""Lines and discs are drawn on a grid finer by this factor, then reduced."""
_PADDLE_TRIES, _SNAKE_TRIES = 3, 5
_PADDING = 1
_CHUNK = 64
"""Images that one thread draws before it reports."""


@dataclass(frozen=True)
class Difficulty:
    """The length of the snakes, and the folder of such images in LRA's files."""

    paddles: int
    folder: str

    @property
    def distractor_paddles(self) -> int:
        """Paddles of a distractor."""
        return self.paddles // 3


@dataclass(frozen=True)
class Geometry:
    """What LRA sets for one resolution; lengths in pixels."""

    seed_distance: int
    paddle_length: int
    thickness: float
    margins: tuple[int, ...]
    disc_radius: float
    continuity: float
    distractor_paddles: int
    """of all distractors together, rounded down to whole snakes"""
    target_contrast: float
    distractor_contrast: float


DIFFICULTIES = {
    "easy": Difficulty(6, "curv_baseline"),
    "middle": Difficulty(9, "curv_contour_length_9"),
    "hard": Difficulty(14, "curv_contour_length_14"),
}
GEOMETRIES = {
    "32": Geometry(7, 2, 0.5, (1,), 1.5, 1.0, 20, 1.5, 2.0),
    "64": Geometry(12, 5, 1.0, (1,), 2.5, 1.8, 22, 0.8, 0.8),
    "128": Geometry(20, 5, 1.5, (2, 3), 3.0, 1.8, 35, 0.9, 0.9),
}


@dataclass(frozen=True)
class PathfinderParameters(TaskParameters):
    """The images and their number; the defaults are LRA's Pathfinder-32."""

    kind: ClassVar[str] = "pathfinder"

    resolution: str = parameter(
        "32", "pixels of a side; 128 is Path-X", choices=tuple(GEOMETRIES), source=Source.BENCHMARK
    )
    difficulty: str = parameter(
        "hard", "length of the snakes: 6, 9 or 14 paddles", choices=tuple(DIFFICULTIES), source=Source.BENCHMARK
    )
    train_size: int = parameter(160_000, "training images", low=1, high=1e8, source=Source.BENCHMARK)
    validation_size: int = parameter(20_000, "validation images", low=1, high=1e8, source=Source.BENCHMARK)
    test_size: int = parameter(20_000, "test images", low=1, high=1e8, source=Source.BENCHMARK)
    data_seed: int = parameter(0, "seed of the generator, or of the split of LRA's files", low=0, high=2**63 - 1)


def generate(parameters: PathfinderParameters, progress: Progress = ignore_progress) -> TaskData:
    """Generate the task that `parameters` describe, on all CPU cores.

    Image i depends on the seed, the resolution and the difficulty alone. The first images are the test split, the next
    the validation split, so another number of training images does not change them.

    Raises
    ------
    UsageError
        The extra `data` is not installed.
    """
    sizes = {"test": parameters.test_size, "validation": parameters.validation_size, "train": parameters.train_size}
    images, labels = draw_images(parameters, sum(sizes.values()), progress)
    splits, start = {}, 0
    for split, size in sizes.items():
        splits[split] = from_images(images[start : start + size], labels[start : start + size])
        start += size
    settings = f"resolution {parameters.resolution}, difficulty {parameters.difficulty}, seed {parameters.data_seed}"
    return _task(f"regenerated, n = {len(images):,}: {settings}", splits)


def draw_images(
    parameters: PathfinderParameters, count: int, progress: Progress = ignore_progress
) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` images, uint8 of shape (image, row, column), and their labels; raises as `generate`."""
    loops = require("numba", "model.tasks.pathfinder.loops", "drawing Pathfinder")
    size = int(parameters.resolution)
    images, labels = np.empty((count, size, size), np.uint8), np.empty(count, np.uint8)

    def draw_chunk(start: int) -> int:
        stop = min(start + _CHUNK, count)
        for index in range(start, stop):
            images[index], labels[index] = _draw_image(loops, parameters, index)
        return stop

    # Threads suffice: the compiled loops release Python's lock.
    with ThreadPoolExecutor(core_count()) as pool:
        try:
            for stop in pool.map(draw_chunk, range(0, count, _CHUNK)):
                progress(stop / count)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return images, labels


def _draw_image(loops: Any, parameters: PathfinderParameters, index: int) -> tuple[np.ndarray, int]:
    geometry, difficulty = GEOMETRIES[parameters.resolution], DIFFICULTIES[parameters.difficulty]
    random = np.random.default_rng((parameters.data_seed, index))
    label = int(random.random() * 2)
    margin = geometry.margins[int(random.random() * len(geometry.margins))]
    strokes, footprints, centre = _stamps(geometry.paddle_length, geometry.thickness, margin)
    size = int(parameters.resolution)
    layer = np.zeros((size, size))
    snakes = geometry.distractor_paddles // difficulty.distractor_paddles
    tips = loops.draw_snakes(
        random,
        size,
        _PADDING,
        geometry.seed_distance,
        difficulty.paddles,
        (snakes, _SNAKE_TRIES, difficulty.distractor_paddles),
        (geometry.target_contrast, geometry.distractor_contrast),
        strokes,
        footprints,
        (
            geometry.paddle_length,
            margin,
            geometry.paddle_length * _FINER,
            centre,
            geometry.continuity,
            _PADDLE_TRIES,
        ),
        layer,
    )
    origin = int(random.random() * 2)
    terminal = origin if label else 1 - origin
    for place in (tips[origin, 0], tips[terminal, 1]):
        layer = np.maximum(layer, _disc(size, place, geometry.disc_radius) / 255)
    return _stretched(layer), label


@lru_cache
def _stamps(length: int, thickness: float, margin: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Pictures and footprints of a paddle for every far end on the finer grid; uint8 of shape (end, end, row, column).

    The third value is the centre of the finer grid.
    """
    from PIL import Image, ImageDraw
    from scipy import ndimage

    half = length + math.ceil(thickness) + margin
    centre, side, reach = half * _FINER, 2 * half + 1, length * _FINER
    disc = _round(margin * _FINER)
    strokes = np.empty((2 * reach + 1, 2 * reach + 1, side, side), np.uint8)
    footprints = np.empty_like(strokes)
    for row in range(2 * reach + 1):
        for column in range(2 * reach + 1):
            fine = Image.new("L", (2 * centre + 1, 2 * centre + 1))
            end = (centre + column - reach, centre + row - reach)
            ImageDraw.Draw(fine).line([(centre, centre), end], fill=255, width=round(thickness * _FINER))
            wide = ndimage.binary_dilation(np.array(fine) > 0, disc)
            strokes[row, column] = _reduced(np.array(fine), side)
            footprints[row, column] = _reduced(wide.astype(np.uint8) * 255, side)
    return strokes, footprints, centre


def _disc(size: int, place: np.ndarray, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[: size * _FINER, : size * _FINER]
    row, column = place * _FINER
    fine = (rows - row) ** 2 + (columns - column) ** 2 <= (radius * _FINER) ** 2
    return _reduced(fine.astype(np.uint8) * 255, size)


def _round(radius: int) -> np.ndarray:
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return rows**2 + columns**2 <= radius**2


def _reduced(fine: np.ndarray, side: int) -> np.ndarray:
    """Reduced by Lanczos's filter in 8 bits, which leaves faint ripples: LRA's images have them too."""
    from PIL import Image

    return np.asarray(Image.fromarray(fine).resize((side, side), Image.Resampling.LANCZOS))


def _stretched(layer: np.ndarray) -> np.ndarray:
    """Scale the darkest to 0 and the brightest to 255."""
    low, high = layer.min(), layer.max()
    return ((layer - low) * (255 / (high - low)) + 0.5).astype(np.uint8)


def _task(origin: str, splits: dict[str, TokenDataset]) -> TaskData:
    return TaskData("Pathfinder", origin, PIXEL_SYMBOLS, CLASSES, **splits, separator=None, levels=LEVELS, labels=())


def read_official(parameters: PathfinderParameters, folder: Path, progress: Progress = ignore_progress) -> TaskData:
    """The task from LRA's `pathfinder32` (64, 128) folder, of the difficulty and resolution that `parameters` name.

    All images are shuffled with the seed and cut into 80 %, 10 % and 10 %. LRA's own order comes from a library that is
    not used here. Empty image files are skipped, as in LRA.

    Raises
    ------
    TaskError
        A folder or file is missing or malformed; the message names it.
    """
    place = folder / DIFFICULTIES[parameters.difficulty].folder
    rows = [row for path in _metadata(place) for row in _rows(place, path)]
    size = int(parameters.resolution)
    images, labels = np.empty((len(rows), size, size), np.uint8), np.empty(len(rows), np.uint8)
    count = 0
    for done, (path, label) in enumerate(rows, start=1):
        if (image := _read_image(path, size)) is not None:
            images[count], labels[count] = image, label
            count += 1
        if done % 1000 in (0, len(rows) % 1000):
            progress(done / len(rows))
    if count < len(SPLITS) * 10:
        raise TaskError(f"{place} has {count} images; three splits need at least {len(SPLITS) * 10}")
    order = np.random.default_rng(parameters.data_seed).permutation(count)
    cuts = np.cumsum([int(share * count) for share in OFFICIAL_SHARES[:2]])
    parts = dict(zip(SPLITS, np.split(order, cuts), strict=True))
    splits = {split: from_images(images[part], labels[part]) for split, part in parts.items()}
    return _task(
        f"official files, difficulty {parameters.difficulty}, our split of seed {parameters.data_seed}", splits
    )


def _metadata(place: Path) -> list[Path]:
    paths = sorted((place / "metadata").glob("*.npy"), key=lambda path: (len(path.name), path.name))
    if not paths:
        raise TaskError(f"{place / 'metadata'} holds no metadata; point at LRA's pathfinder32, pathfinder64 or such")
    return paths


def _rows(place: Path, path: Path) -> Iterator[tuple[Path, int]]:
    """Image and label of each row; despite its suffix the file is text."""
    try:
        lines = read_file(path).decode().splitlines()
    except UnicodeDecodeError as error:
        raise TaskError(f"cannot read {path}: {error}") from error
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if len(fields) < 4 or fields[3] not in ("0", "1"):
            raise TaskError(f"{path}, line {number}: {line!r:.60} is not folder, file, number, label (0 or 1)")
        image = place / fields[0] / fields[1]
        refuse_outside(image, place)
        yield image, int(fields[3])


def _read_image(path: Path, size: int) -> np.ndarray | None:
    """The grey values, or None if the file is empty."""
    from PIL import Image, UnidentifiedImageError

    try:
        if path.stat().st_size == 0:
            return None
        with Image.open(path, formats=("PNG",)) as image:
            if image.size != (size, size):
                raise TaskError(f"{path} has {image.width} x {image.height} pixels; {size} x {size} are wanted")
            return np.asarray(image.convert("L"))
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise TaskError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
