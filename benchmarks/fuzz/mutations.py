"""Changes of bytes, of text and of folders, each a function of a random generator."""

import random
import re
import shutil
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

SIZES = (0, 1, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 10**12, 2**40, 2**63 - 1, 2**64 - 1)
"""Counts and lengths that lie."""
NUMBERS = (float("nan"), float("inf"), float("-inf"), 5e-324, 1e-310, 1e308, -1e308, 1e300, -0.0, 1e-30)
WORDS = (
    "nan", "inf", "-inf", "1e308", "-1e308", "1e400", "5e-324", "-1", "0", "1e12", "1000000000000",
    "99999999999999999999", "0x10", "1_0", "٣", "", "null", "true", "[]", "{}", '"', "1.5", "1 ms", "-0", "1e-30",
    "a" * 200_000, "[" * 100_000, "9" * 5000,
)  # fmt: skip
"""Words in the place of a number or a name."""
_WORD = re.compile(r"[^\s,;:\[\]{}\"()]+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)


def _place(content: bytes, chance: random.Random) -> int:
    # Half of the changes are in the head, which holds names and sizes.
    return chance.randrange(min(len(content), 600) if chance.random() < 0.5 else len(content))


def flip_bit(content: bytes, chance: random.Random) -> bytes:
    """One bit is another."""
    place = _place(content, chance)
    return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]


def set_byte(content: bytes, chance: random.Random) -> bytes:
    """One byte is another."""
    place = _place(content, chance)
    return (
        content[:place]
        + bytes([chance.choice((0, 1, 32, 127, 128, 255, chance.randrange(256)))])
        + content[place + 1 :]
    )


def truncate(content: bytes, chance: random.Random) -> bytes:
    """The end is missing."""
    return content[: _place(content, chance)]


def extend(content: bytes, chance: random.Random) -> bytes:
    """Bytes follow the end."""
    return content + chance.randbytes(chance.choice((1, 100, 5000)))


def delete_block(content: bytes, chance: random.Random) -> bytes:
    """Some bytes are missing."""
    place = _place(content, chance)
    return content[:place] + content[place + chance.choice((1, 4, 64, 1000)) :]


def repeat_block(content: bytes, chance: random.Random) -> bytes:
    """Some bytes are there twice."""
    place = _place(content, chance)
    end = place + chance.choice((1, 4, 64, 1000))
    return content[:end] + content[place:end] + content[end:]


def zero_block(content: bytes, chance: random.Random) -> bytes:
    """Some bytes are zero, as after a crash of the file system."""
    place = _place(content, chance)
    size = len(content[place : place + chance.choice((8, 512, 4096))])
    return content[:place] + bytes(size) + content[place + size :]


def lie_about_a_size(content: bytes, chance: random.Random) -> bytes:
    """A count of 2, 4 or 8 bytes claims too much."""
    width, order = chance.choice((2, 4, 8)), chance.choice(("little", "big"))
    value = (chance.choice(SIZES) % 256**width).to_bytes(width, order)
    return _overwritten(content, value, chance)


def extreme_number(content: bytes, chance: random.Random) -> bytes:
    """A floating-point number is NaN, infinite, subnormal or huge."""
    number, form = chance.choice(NUMBERS), chance.choice(("<d", ">d", "<f"))
    clipped = number if form[1] == "d" or number != number else max(-3.4e38, min(3.4e38, number))
    return _overwritten(content, struct.pack(form, clipped), chance)


def _overwritten(content: bytes, value: bytes, chance: random.Random) -> bytes:
    place = _place(content, chance) // len(value) * len(value)
    return content[:place] + value + content[place + len(value) :]


def empty(_content: bytes, _chance: random.Random) -> bytes:
    """The file has no byte."""
    return b""


def noise(content: bytes, chance: random.Random) -> bytes:
    """The file is noise of the same size."""
    return chance.randbytes(len(content))


BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip_bit, flip_bit, flip_bit, set_byte, set_byte, truncate, truncate, extend, delete_block, repeat_block,
    zero_block, lie_about_a_size, lie_about_a_size, lie_about_a_size, extreme_number, extreme_number, empty, noise,
)  # fmt: skip
"""Changes of any file; frequent ones are there several times."""


def other_number(content: bytes, chance: random.Random) -> bytes:
    """A number in a text is another word."""
    return _replaced(content, _NUMBER, chance)


def other_word(content: bytes, chance: random.Random) -> bytes:
    """A word of a text is another word."""
    return _replaced(content, _WORD, chance)


def _replaced(content: bytes, pattern: re.Pattern[str], chance: random.Random) -> bytes:
    text = content.decode("utf-8", "surrogateescape")
    found = list(pattern.finditer(text))
    if not found:
        return content + b" "
    match = chance.choice(found)
    return (text[: match.start()] + chance.choice(WORDS) + text[match.end() :]).encode("utf-8", "surrogateescape")


def other_lines(content: bytes, chance: random.Random) -> bytes:
    """A line is missing, there twice, or at another place."""
    lines = content.split(b"\n")
    chosen = chance.randrange(len(lines))
    line = lines.pop(chosen) if chance.random() < 0.6 else lines[chosen]
    if chance.random() < 0.6:
        lines.insert(chance.randrange(len(lines) + 1), line)
    return b"\n".join(lines)


def other_mark(content: bytes, chance: random.Random) -> bytes:
    """A separator, quote or bracket is missing or is another."""
    marks = [place for place, byte in enumerate(content) if byte in b",;:\t\"'[]{}()\n"]
    if not marks:
        return content + b'"'
    place = chance.choice(marks)
    return content[:place] + chance.choice((b"", b",", b"\t", b'"', b"[", b"}", b"\r", b"\0")) + content[place + 1 :]


def other_encoding(content: bytes, chance: random.Random) -> bytes:
    """The text is UTF-16, has a byte order mark, or bytes that are not UTF-8."""
    text = content.decode("utf-8", "replace")
    place = _place(content, chance)
    inserted = [
        content[:place] + part + content[place:] for part in (b"\xff", b"\xc3(", b"\0", b"\xed\xa0\x80", b"\x85")
    ]
    return chance.choice([text.encode("utf-16"), text.encode("utf-16-be"), b"\xef\xbb\xbf" + content, *inserted])


TEXT = (other_number, other_number, other_number, other_word, other_word, other_lines, other_mark, other_mark,
        other_encoding, flip_bit, truncate, extend, empty, delete_block)  # fmt: skip
"""Changes of a text."""


def change_folder(folder: Path, chance: random.Random) -> str:
    """Damage the folder itself; return what was done: a file or a folder is missing, another one, a link or a pipe."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path, other = chance.choice(files), chance.choice(files)
    kind = chance.choice(("missing", "swapped", "link", "folder", "loop", "device"))
    content = path.read_bytes()
    path.unlink()
    if kind == "swapped":
        path.write_bytes(other.read_bytes() if other != path else content + content)
    elif kind == "folder":
        path.mkdir()
    elif kind in ("link", "loop", "device"):
        path.symlink_to({"link": "/etc/hostname", "loop": path.name, "device": "/dev/zero"}[kind])
    return f"{path.relative_to(folder)}: {kind}"


def mutate(folder: Path, texts: Sequence[str], seed: str) -> str:
    """Change one file of `folder`, or the folder itself, as `seed` says; return what was done.

    Files with a suffix in `texts` get the changes of texts.
    """
    chance = random.Random(seed)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if len(files) > 1 and chance.random() < 0.1:
        return change_folder(folder, chance)
    path = chance.choice(files)
    content = path.read_bytes()
    change = chance.choice(TEXT if path.suffix in texts and chance.random() < 0.8 else BYTES)
    # Some damage is in two places.
    for _ in range(1 + (chance.random() < 0.15)):
        content = change(content, chance) if content else content
    path.write_bytes(content)
    return f"{path.relative_to(folder)}: {change.__name__}"


def copied(original: Path, to: Path) -> Path:
    """A fresh copy of the folder `original` at `to`."""
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(original, to, symlinks=True))
