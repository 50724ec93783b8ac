"""Expressions of ListOps as token ids: their symbols, value, text, and LRA's round brackets.

    [MAX 2 9 [MIN 4 7 ] 0 ]  ->  9

An expression is a digit, or an operator over two or more expressions: MIN, MAX, MED (median; of an even count the mean
of the middle two, rounded down) and SM (sum modulo 10).

Source: Tay et al., Long Range Arena (arXiv 2011.04006), and its generator.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from model.tasks.data.dataset import PADDING, TaskError

SYMBOLS = ("", *"0123456789", "[MIN", "[MAX", "[MED", "[SM", "]")
FIRST_DIGIT, FIRST_OPERATOR, CLOSE = 1, 11, 15
ROUND_OPEN, ROUND_CLOSE = 16, 17
SYMBOLS_WITH_BRACKETS = (*SYMBOLS, "(", ")")

_IDS = {symbol: token for token, symbol in enumerate(SYMBOLS) if token != PADDING}


def _median(values: list[int]) -> int:
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) // 2


def _sum_modulo(values: list[int]) -> int:
    return sum(values) % 10


OPERATIONS: tuple[Callable[[list[int]], int], ...] = (min, max, _median, _sum_modulo)


def evaluate(tokens: Iterable[int]) -> int:
    """Evaluate an expression, given as token ids; its value is 0 to 9.

    `value_of_top` ignores deep lists instead, and does not check the form.

    Raises
    ------
    TaskError
        The ids are not one whole expression.
    """
    # Each open operator collects its arguments in its own list; the lowest list collects the result.
    open_lists: list[list[int]] = [[]]
    operators: list[int] = []
    # Convert to Python's integers: a sum of NumPy's bytes would wrap at 256.
    for token in map(int, tokens):
        if FIRST_DIGIT <= token < FIRST_OPERATOR:
            open_lists[-1].append(token - FIRST_DIGIT)
        elif FIRST_OPERATOR <= token < CLOSE:
            operators.append(token - FIRST_OPERATOR)
            open_lists.append([])
        elif token == CLOSE and operators and open_lists[-1]:
            value = OPERATIONS[operators.pop()](open_lists.pop())
            open_lists[-1].append(value)
        else:
            raise TaskError(f"token {token} is not allowed where it is; the expression is malformed")
    if operators or len(open_lists[0]) != 1:
        raise TaskError(f"{len(operators)} brackets left open, {len(open_lists[0])} values; expected one value")
    return open_lists[0][0]


def value_of_top(tokens: Iterable[int], levels: int) -> int | None:
    """Evaluate a well-formed expression without the lists that are nested deeper than `levels`.

    With `levels` 1, the root operator applies to its own digits alone. Returns None if no digit is left. See `evaluate`
    for whole expressions.

    Raises
    ------
    TaskError
        A bracket closes nothing.
    """
    open_lists: list[list[int]] = [[]]
    operators: list[int] = []
    for token in map(int, tokens):
        if FIRST_DIGIT <= token < FIRST_OPERATOR:
            open_lists[-1].append(token - FIRST_DIGIT)
        elif FIRST_OPERATOR <= token < CLOSE:
            operators.append(token - FIRST_OPERATOR)
            open_lists.append([])
        elif token == CLOSE:
            if not operators:
                raise TaskError("a bracket closes nothing; the expression is malformed")
            operator, values = operators.pop(), open_lists.pop()
            if values and len(operators) < levels:
                open_lists[-1].append(OPERATIONS[operator](values))
    return open_lists[0][0] if open_lists[0] else None


def with_brackets(tokens: bytes) -> bytes:
    """Add LRA's round brackets to an expression: a pair for each step of a tree that leans to the left.

    [MAX 2 9 ]  ->  ( ( ( [MAX 2 ) 9 ) ] ), so n tokens become 3 n - 2.
    """
    # Write from the end: the number of brackets in front of an operator depends on the number of its arguments.
    reverse = bytearray()
    arguments = [0]
    for token in reversed(tokens):
        if token == CLOSE:
            # One bracket closes this list. If the list is an argument, another one closes the step that adds it.
            reverse.extend((ROUND_CLOSE,) * min(len(arguments), 2))
            arguments[-1] += 1
            arguments.append(0)
            reverse.append(token)
        elif token >= FIRST_OPERATOR:
            reverse.append(token)
            reverse.extend((ROUND_OPEN,) * (arguments.pop() + 1))
        else:
            arguments[-1] += 1
            if len(arguments) > 1:
                reverse.append(ROUND_CLOSE)
            reverse.append(token)
    return bytes(reversed(reverse))


def to_text(tokens: Sequence[int] | np.ndarray) -> str:
    """Write token ids as text, with blanks between the symbols; raises `TaskError` for an unknown id."""
    for token in tokens:
        if not PADDING < token < len(SYMBOLS_WITH_BRACKETS):
            raise TaskError(f"token {token} is not a symbol of ListOps; ids are 1 to {len(SYMBOLS_WITH_BRACKETS) - 1}")
    return " ".join(SYMBOLS_WITH_BRACKETS[token] for token in tokens)


def from_text(text: str) -> bytes:
    """Parse an expression to token ids, one per byte; LRA's redundant round brackets are dropped.

    Raises
    ------
    TaskError
        An unknown symbol.
    """
    symbols = text.replace("(", " ").replace(")", " ").split()
    try:
        return bytes(map(_IDS.__getitem__, symbols))
    except KeyError as error:
        known = " ".join(SYMBOLS[1:])
        raise TaskError(f"unknown symbol {error.args[0]!r:.60}; known are {known}") from None
