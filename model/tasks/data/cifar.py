"""CIFAR-10 in grey from its authors' Python batches, which are pickles, read without running anything in them.

Sources: Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009); Tay et al., Long Range Arena (arXiv
2011.04006), which takes the grey of TensorFlow's `rgb_to_grayscale`.
"""

import io
import pickle
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from model.tasks.data.dataset import TaskError
from model.tasks.data.sources import read_members
from rmaat.base.progress import Progress, ignore_progress

FILES = "cifar-10-python.tar.gz or the folder cifar-10-batches-py in it (www.cs.toronto.edu/~kriz/cifar.html)"
CLASSES = 10
SIDE = 32

_MEMBER = re.compile(r"(?:^|.*/)(data_batch_[1-5]|test_batch)$")
_GREY = np.array([0.2989, 0.5870, 0.1140], dtype=np.float32)

Split = tuple[np.ndarray, np.ndarray]
"""Grey pictures, uint8 of shape (picture, row, column), and their labels, uint8 of shape (picture,)."""


def read_batches(source: Path, progress: Progress = ignore_progress) -> dict[str, Split]:
    """The training and test pictures from the folder or tar archive `source`.

    Raises
    ------
    TaskError
        A batch is missing or malformed.
    """
    members = read_members(source, lambda name: _MEMBER.match(name) is not None, progress)
    batches = {name.rsplit("/", 1)[-1]: read_batch(content, name) for name, content in members.items()}
    training = [batches[name] for name in sorted(batches) if name != "test_batch"]
    if len(training) != 5 or "test_batch" not in batches:
        raise TaskError(f"{source} has {len(batches)} of 6 batch files; --source must be {FILES}")
    images, labels = (np.concatenate(parts) for parts in zip(*training, strict=True))
    return {"train": (images, labels), "test": batches["test_batch"]}


def read_batch(content: bytes, name: str) -> Split:
    """The grey pictures and labels of one batch; `name` is for error messages.

    A pickle can run any program when it is loaded. This reader accepts arrays of bytes, numbers, texts and containers
    only.

    Raises
    ------
    TaskError
        The file is not such a batch.
    """
    try:
        values = _BatchReader(io.BytesIO(content), encoding="bytes").load()
        pixels = values[b"data"].pixels
        colours = pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
        labels = np.array(values[b"labels"], dtype=np.uint8)
    # A damaged pickle can raise any exception.
    except Exception as error:
        reason = f"{' '.join(str(error).split()):.100}"
        raise TaskError(f"{name} is not a batch of CIFAR-10 ({reason}); download it again") from error
    if len(labels) != len(colours) or labels.ndim != 1 or labels.max(initial=0) >= CLASSES:
        raise TaskError(f"{name} has {labels.shape} labels for {len(colours)} pictures; download it again")
    return grey(colours), labels


def grey(colours: np.ndarray) -> np.ndarray:
    """TensorFlow's grey of uint8 colours, channels last, to the bit; the result has no channel axis."""
    scaled = colours.astype(np.float32) * np.float32(1 / 255)
    red, green, blue = (scaled[..., channel] * _GREY[channel] for channel in range(3))
    return ((red + green + blue) * np.float32(255.5)).astype(np.uint8)


class _Array:
    """Replaces a NumPy array in a pickle: keeps its bytes and calls nothing of NumPy's unpickling."""

    pixels: np.ndarray

    def __init__(self, *_: Any):
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_column, content = state
        if not isinstance(kind, _Kind) or kind.name not in (b"u1", "u1") or by_column or not isinstance(content, bytes):
            raise ValueError("an array that is not of bytes")
        self.pixels = np.frombuffer(content, np.uint8).reshape(shape)


class _Kind:
    """Replaces a NumPy dtype in a pickle."""

    def __init__(self, name: bytes | str, *_: Any):
        self.name = name

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        pass


def _latin_bytes(text: str, encoding: str) -> bytes:
    """Decode bytes as Python 3 writes them in an old pickle protocol."""
    if encoding != "latin1":
        raise ValueError(f"bytes in {encoding}")
    return text.encode("latin1")


class _BatchReader(pickle.Unpickler):
    _ALLOWED: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Kind,
        ("_codecs", "encode"): _latin_bytes,
    }

    def find_class(self, module: str, name: str) -> Any:
        """Return the replacement of an array's parts; refuse any other name before it is looked up."""
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return self._ALLOWED[module, name]
