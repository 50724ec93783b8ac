"""Token ids of bytes, of pairs of documents and of grey images.

    byte b -> b + 1        two documents -> first, SEPARATOR, second        grey value g -> g + 1

LRA gives bytes the same ids. It feeds grey values as they are, so that its models take black for padding and never see
it; here black is a token like any other.
"""

import numpy as np

from model.tasks.data.dataset import TaskError, TokenDataset

SEPARATOR = 255
"""The id of byte 254, which no UTF-8 text holds: ids of text fit in one byte, separator included."""
BYTE_SYMBOLS = ("", *(chr(byte) if 32 <= byte < 127 else f"<{byte:02x}>" for byte in range(256)))
"""LRA's 257 ids of bytes."""
PAIR_SYMBOLS = (*BYTE_SYMBOLS[:SEPARATOR], "<separator>")
PIXEL_SYMBOLS = ("", *map(str, range(256)))
PIXEL_SHIFT = 1

_SHIFT = bytes((byte + 1) % 256 for byte in range(256))


def from_bytes(text: bytes, longest: int) -> bytes:
    """The ids of the first `longest` bytes of `text`, one a byte; what is no UTF-8 is read as U+FFFD.

    Raises
    ------
    TaskError
        The text is empty.
    """
    if not text:
        raise TaskError("the document is empty; delete its row")
    try:
        text.decode()
    except UnicodeDecodeError:
        text = text.decode(errors="replace").encode()
    return text[:longest].translate(_SHIFT)


def to_bytes(tokens: np.ndarray) -> bytes:
    """The bytes that the ids stand for."""
    return (tokens - 1).astype(np.uint8).tobytes()


def join_pair(first: bytes, second: bytes) -> bytes:
    """Two documents, given as ids, as one sequence."""
    return first + bytes([SEPARATOR]) + second


def split_pair(tokens: np.ndarray, separator: int = SEPARATOR) -> tuple[np.ndarray, np.ndarray]:
    """The two documents of a sequence, without the separator; raises `TaskError` where it has none."""
    (places,) = np.nonzero(tokens == separator)
    if len(places) != 1:
        raise TaskError(f"{len(places)} separators in a pair of documents; one is wanted")
    return tokens[: places[0]], tokens[places[0] + 1 :]


def from_images(images: np.ndarray, labels: np.ndarray) -> TokenDataset:
    """Grey images, uint8 of shape (image, row, column), row by row as token ids."""
    tokens = images.reshape(-1).astype(np.uint16) + PIXEL_SHIFT
    offsets = np.arange(len(images) + 1, dtype=np.int64) * (images.shape[1] * images.shape[2])
    return TokenDataset(tokens, offsets, np.asarray(labels, dtype=np.uint8))
