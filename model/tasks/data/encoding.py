"""Token ids of bytes, of pairs of documents and of grey images.

    byte b -> b + 1        two documents -> first, SEPARATOR, second        grey value g -> g + 1

LRA gives bytes the same ids. It does not shift grey values, so its models take black for padding and never see it; here
black is a token like any other.
"""

import numpy as np

from model.tasks.data.dataset import TaskError, TokenDataset

SEPARATOR = 255
"""The id of byte 254, which does not occur in UTF-8. Ids of text, separator included, thus fit in one byte."""
BYTE_SYMBOLS = ("", *(chr(byte) if 32 <= byte < 127 else f"<{byte:02x}>" for byte in range(256)))
"""The meaning of LRA's 257 ids of bytes."""
PAIR_SYMBOLS = (*BYTE_SYMBOLS[:SEPARATOR], "<separator>")
PIXEL_SYMBOLS = ("", *map(str, range(256)))
PIXEL_SHIFT = 1

_SHIFT = bytes((byte + 1) % 256 for byte in range(256))


def from_bytes(text: bytes, longest: int) -> bytes:
    """The ids of the first `longest` bytes of `text`, one byte per id; invalid UTF-8 is read as U+FFFD.

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
    """Undo `from_bytes`: the bytes of the ids `tokens`, shape (token,)."""
    return (tokens - 1).astype(np.uint8).tobytes()


def join_pair(first: bytes, second: bytes) -> bytes:
    """Join two documents, given as ids, to one sequence."""
    return first + bytes([SEPARATOR]) + second


def split_pair(tokens: np.ndarray, separator: int = SEPARATOR) -> tuple[np.ndarray, np.ndarray]:
    """Undo `join_pair`: the two documents of a sequence of shape (token,), without the separator.

    Raises
    ------
    TaskError
        The sequence does not have exactly one separator.
    """
    (places,) = np.nonzero(tokens == separator)
    if len(places) != 1:
        raise TaskError(f"{len(places)} separators in a pair of documents; expected one")
    return tokens[: places[0]], tokens[places[0] + 1 :]


def from_images(images: np.ndarray, labels: np.ndarray) -> TokenDataset:
    """The token ids, pixel by pixel and row by row, of grey images, uint8 of shape (image, row, column).

    `labels` have shape (image,).
    """
    tokens = images.reshape(-1).astype(np.uint16) + PIXEL_SHIFT
    offsets = np.arange(len(images) + 1, dtype=np.int64) * (images.shape[1] * images.shape[2])
    return TokenDataset(tokens, offsets, np.asarray(labels, dtype=np.uint8))
