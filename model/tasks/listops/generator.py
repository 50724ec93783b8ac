"""The generator of ListOps: expressions drawn from LRA's grammar.

An expression grows as a random walk: a node is an operator with a fixed probability, otherwise a digit, and always a
digit at the greatest depth. An expression is kept if its number of tokens is strictly between two lengths, and if it is
new.

Source: Tay et al., Long Range Arena (arXiv 2011.04006), and its generator.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random

from model.tasks.data.dataset import TaskError
from model.tasks.listops.grammar import CLOSE, FIRST_DIGIT, FIRST_OPERATOR, OPERATIONS
from model.tasks.listops.parameters import FEWEST_ARGUMENTS, ListOpsParameters

# Give up after this many walks without a new sample. Settings that keep 0.01 % of the walks still pass.
_PATIENCE = 200_000


def samples(parameters: ListOpsParameters) -> Iterator[bytes]:
    """Yield different samples as token ids, without end, in draw order.

    Raises
    ------
    TaskError
        The grammar yields almost no new sample of the wanted length.
    """
    # Python guarantees the same stream in every version for `random()` of a seeded `Random`, and for nothing else.
    draw, seen, misses = Random(parameters.data_seed).random, set[bytes](), 0
    while misses < _PATIENCE:
        tokens = walk(parameters, draw)
        misses += 1
        if parameters.shortest_length < len(tokens) < parameters.longest_length:
            digest = hashlib.blake2b(tokens, digest_size=16).digest()
            if digest not in seen:
                seen.add(digest)
                misses = 0
                yield bytes(tokens)
    raise TaskError(
        f"{_PATIENCE:,} expressions in a row gave none that is new and has between {parameters.shortest_length} and "
        f"{parameters.longest_length} tokens; widen the lengths, or raise max_depth or max_arguments"
    )


class _TooLong(Exception):
    """The walk has reached the longest length."""


def walk(parameters: ListOpsParameters, draw: Callable[[], float]) -> bytearray:
    """Draw one expression as token ids, or only its beginning if it reaches the longest length.

    Stopping early changes no kept sample: a walk only grows, so this one would be refused anyway, and the next one
    starts from fresh draws.
    """
    tokens = bytearray()
    operator_probability, max_depth = parameters.operator_probability, parameters.max_depth
    choices, limit = parameters.max_arguments - FEWEST_ARGUMENTS + 1, parameters.longest_length

    def grow(depth: int) -> None:
        if depth >= max_depth or draw() >= operator_probability:
            tokens.append(FIRST_DIGIT + int(draw() * 10))
            return
        opening = len(tokens)
        tokens.append(FIRST_OPERATOR)
        for _ in range(FEWEST_ARGUMENTS + int(draw() * choices)):
            grow(depth + 1)
        tokens[opening] += int(draw() * len(OPERATIONS))
        tokens.append(CLOSE)
        if len(tokens) >= limit:
            raise _TooLong

    with suppress(_TooLong):
        grow(1)
    return tokens
