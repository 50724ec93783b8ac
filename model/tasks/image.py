"""Image: which of ten things does a picture show? CIFAR-10 in grey, read pixel by pixel, row by row.

Sources: Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009), as Tay et al., Long Range Arena
(arXiv 2011.04006), read it.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from model.tasks.data import cifar, hub
from model.tasks.data.cifar import CLASSES, SIDE, Split, grey, read_batches
from model.tasks.data.dataset import TaskData, TaskError, TaskParameters, held_out_rows
from model.tasks.data.encoding import PIXEL_SYMBOLS, from_images
from rmaat.base.extras import require
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.records import Source, parameter

LEVELS = ("commonest_label", "linear_probe")
SOURCES = f"{cifar.FILES}, or hf:uoft-cs/cifar10, its {hub.FORMS}"


@dataclass(frozen=True)
class ImageParameters(TaskParameters):
    """How the pictures are split."""

    kind: ClassVar[str] = "image"

    validation_size: int = parameter(
        5000, "training pictures held out for validation", low=1, high=1e8, source=Source.BENCHMARK
    )
    data_seed: int = parameter(0, "seed of the choice of held-out pictures", low=0, high=2**63 - 1)


def read(parameters: ImageParameters, source: Path, progress: Progress = ignore_progress) -> TaskData:
    """Read the task from `source`, which `SOURCES` describes.

    Raises
    ------
    TaskError
        Files are missing or malformed, or the held-out part leaves nothing to learn from.
    """
    found = _read_splits(source, progress)
    images, labels = found["train"]
    held_out, rest = held_out_rows(len(images), parameters.validation_size, parameters.data_seed)
    return TaskData(
        "Image",
        f"{hub.origin(source)}, grey, our validation split of seed {parameters.data_seed}",
        PIXEL_SYMBOLS,
        CLASSES,
        from_images(images[rest], labels[rest]),
        from_images(images[held_out], labels[held_out]),
        from_images(*found["test"]),
        levels=LEVELS,
    )


def _read_splits(source: Path, progress: Progress) -> dict[str, Split]:
    if hub.is_hub(source):
        return {split: _from_png(rows, split, source) for split, rows in hub.read_images(source, progress).items()}
    return read_batches(source, progress)


def _from_png(rows: list[tuple[bytes, int]], split: str, source: Path) -> Split:
    """Grey pictures and labels from the contents of PNG files."""
    pictures = require("PIL", "PIL.Image", "reading pictures")
    colours = np.empty((len(rows), SIDE, SIDE, 3), dtype=np.uint8)
    for number, (content, label) in enumerate(rows):
        try:
            with pictures.open(io.BytesIO(content), formats=("PNG",)) as picture:
                colours[number] = _colours(picture)
        # A damaged picture can raise any exception.
        except Exception as error:
            raise TaskError(
                f"{source}, row {number} of split {split}: no picture ({error}); download it again"
            ) from error
        if not 0 <= label < CLASSES:
            raise TaskError(f"{source}, row {number} of split {split}: label {label}; expected 0 to {CLASSES - 1}")
    return grey(colours), np.array([label for _, label in rows], dtype=np.uint8)


def _colours(picture: Any) -> np.ndarray:
    # Check the size before decoding: a small file can hold a picture that fills the memory.
    if picture.size != (SIDE, SIDE):
        raise ValueError(f"{picture.width} x {picture.height} pixels")
    return np.asarray(picture.convert("RGB"))
