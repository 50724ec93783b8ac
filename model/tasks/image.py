"""Image: which of ten things does a picture show, read row by row? CIFAR-10 in grey.

Sources: Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009); Tay et al., Long Range Arena (arXiv
2011.04006), which takes the grey of TensorFlow's `rgb_to_grayscale`.
"""

import io
import lzma
import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from model.tasks.data import hub
from model.tasks.data.dataset import TaskData, TaskError
from model.tasks.data.encoding import PIXEL_SYMBOLS, from_images
from model.tasks.data.extras import require
from model.tasks.data.settings import TaskParameters
from model.tasks.data.sources import read_file, read_members
from model.tasks.text import held_out_rows
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.records import Source, parameter

CLASSES = 10
LEVELS = ("commonest_label", "linear_probe")
SIDE = 32
SOURCES = (
    "cifar-10-python.tar.gz or the folder cifar-10-batches-py in it (www.cs.toronto.edu/~kriz/cifar.html), "
    "or a folder with train_images.xz, test_images.xz and labels.npz, or hf:uoft-cs/cifar10, its "
    f"{hub.FORMS}"
)

_MEMBER = re.compile(r"(?:^|.*/)(data_batch_[1-5]|test_batch)$")
_GREY = np.array([0.2989, 0.5870, 0.1140], dtype=np.float32)


@dataclass(frozen=True)
class ImageParameters(TaskParameters):
    """How the pictures are split."""

    kind: ClassVar[str] = "image"

    validation_size: int = parameter(
        5000, "training pictures held out to choose by", low=1, high=1e8, source=Source.BENCHMARK
    )
    data_seed: int = parameter(0, "seed of the choice of held-out pictures", low=0, high=2**63 - 1)


Split = tuple[np.ndarray, np.ndarray]
"""Grey pictures, uint8 of shape (picture, row, column), and their labels."""


def read(parameters: ImageParameters, source: Path, progress: Progress = ignore_progress) -> TaskData:
    """The task from `source`, which `SOURCES` describes.

    Raises
    ------
    TaskError
        Files are missing or not of their form, or nothing would be left to learn from.
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


def grey(colours: np.ndarray) -> np.ndarray:
    """TensorFlow's grey of uint8 colours, channels last, to the bit."""
    scaled = colours.astype(np.float32) * np.float32(1 / 255)
    red, green, blue = (scaled[..., channel] * _GREY[channel] for channel in range(3))
    return ((red + green + blue) * np.float32(255.5)).astype(np.uint8)


def _read_splits(source: Path, progress: Progress) -> dict[str, Split]:
    if hub.is_hub(source):
        return {split: _from_files(rows, split, source) for split, rows in hub.read_images(source, progress).items()}
    if (source / "train_images.xz").exists():
        return _read_differences(source)
    return _read_batches(source, progress)


def _from_files(rows: list[tuple[bytes, int]], split: str, source: Path) -> Split:
    """Grey pictures and labels from PNG files."""
    pictures = require("PIL", "PIL.Image", "reading pictures", "hub")
    colours = np.empty((len(rows), SIDE, SIDE, 3), dtype=np.uint8)
    for number, (content, label) in enumerate(rows):
        try:
            with pictures.open(io.BytesIO(content), formats=("PNG",)) as picture:
                colours[number] = _colours(picture)
        # What a damaged picture can raise has no end.
        except Exception as error:
            raise TaskError(f"{source}, row {number} of split {split}: no picture ({error}); get it anew") from error
        if not 0 <= label < CLASSES:
            raise TaskError(f"{source}, row {number} of split {split}: label {label}; 0 to {CLASSES - 1} is wanted")
    return grey(colours), np.array([label for _, label in rows], dtype=np.uint8)


def _colours(picture: Any) -> np.ndarray:
    # Before it is decoded: a small file can hold a picture that fills the memory.
    if picture.size != (SIDE, SIDE):
        raise ValueError(f"{picture.width} x {picture.height} pixels")
    return np.asarray(picture.convert("RGB"))


def _read_differences(folder: Path) -> dict[str, Split]:
    """Pictures as second differences, down and across, in .xz files."""
    try:
        with np.load(io.BytesIO(read_file(folder / "labels.npz")), allow_pickle=False) as labels:
            return {split: (_summed(folder / f"{split}_images.xz"), labels[split]) for split in ("train", "test")}
    except (ValueError, KeyError, EOFError, OSError, lzma.LZMAError) as error:
        raise TaskError(f"{folder} has damaged pictures or labels ({error}); get them anew") from error


def _summed(path: Path) -> np.ndarray:
    differences = np.frombuffer(lzma.decompress(read_file(path)), np.uint8).reshape(-1, SIDE, SIDE)
    return differences.cumsum(1, dtype=np.uint8).cumsum(2, dtype=np.uint8)


def _read_batches(source: Path, progress: Progress) -> dict[str, Split]:
    members = read_members(source, lambda name: _MEMBER.match(name) is not None, progress)
    batches = {name.rsplit("/", 1)[-1]: read_batch(content, name) for name, content in members.items()}
    training = [batches[name] for name in sorted(batches) if name != "test_batch"]
    if len(training) != 5 or "test_batch" not in batches:
        raise TaskError(f"{source} has {len(batches)} of 6 batch files; --source must be {SOURCES}")
    images, labels = (np.concatenate(parts) for parts in zip(*training, strict=True))
    return {"train": (images, labels), "test": batches["test_batch"]}


def read_batch(content: bytes, name: str) -> Split:
    """The grey pictures and labels of one of CIFAR-10's Python batches.

    A batch is a pickle, which can run any program when it is loaded. Here it is taken apart by a reader that knows
    arrays of bytes, numbers, texts and containers, and nothing that runs.

    Raises
    ------
    TaskError
        The file is no such batch.
    """
    try:
        values = _BatchReader(io.BytesIO(content), encoding="bytes").load()
        pixels = values[b"data"].pixels
        colours = pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
        labels = np.array(values[b"labels"], dtype=np.uint8)
    # What a damaged pickle can raise has no end.
    except Exception as error:
        raise TaskError(f"{name} is no batch of CIFAR-10 ({error}); get it anew") from error
    if len(labels) != len(colours) or labels.ndim != 1 or labels.max(initial=0) >= CLASSES:
        raise TaskError(f"{name} has {labels.shape} labels for {len(colours)} pictures; get it anew")
    return grey(colours), labels


class _Array:
    """Stands for a NumPy array in a pickle: keeps its bytes and calls nothing of NumPy's unpickling."""

    pixels: np.ndarray

    def __init__(self, *_: Any):
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_column, content = state
        if not isinstance(kind, _Kind) or kind.name not in (b"u1", "u1") or by_column or not isinstance(content, bytes):
            raise ValueError("an array that is not of bytes")
        self.pixels = np.frombuffer(content, np.uint8).reshape(shape)


class _Kind:
    """Stands for a NumPy dtype in a pickle."""

    def __init__(self, name: bytes | str, *_: Any):
        self.name = name

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        pass


def _latin_bytes(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes in an old pickle."""
    if encoding != "latin1":
        raise ValueError(f"bytes in {encoding}")
    return text.encode("latin1")


class _BatchReader(pickle.Unpickler):
    _KNOWN: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Kind,
        ("_codecs", "encode"): _latin_bytes,
    }

    def find_class(self, module: str, name: str) -> Any:
        """Only what stands for arrays; everything else is refused before it is even looked up."""
        if (module, name) not in self._KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return self._KNOWN[module, name]
