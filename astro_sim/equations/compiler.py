"""Compiles equation strings to Python functions of NumPy arrays.

An equation may use Python's arithmetic, the functions in `FUNCTIONS`, and the names that its owner defines. Every
other name is refused, and the compiled functions run without Python's builtins. `RightHandSide` compiles the rate
model with it, and `astro_sim.biophysics.system` the equations of a single compartment.
"""

import ast
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from astro_sim.equations.model import FUNCTIONS
from rmaat.base.errors import UsageError
from rmaat.base.records import unknown_name

OPERATIONS: Mapping[type[ast.operator], Any] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
}
"""NumPy's functions for the operators. They write a result into a given array without a copy."""


def parse(expression: str) -> ast.expr:
    """The syntax tree of one expression."""
    return ast.parse(expression, mode="eval").body


def require_known_names(tree: ast.AST, known: Collection[str], owner: str) -> None:
    """Check that an equation uses defined names only.

    Parameters
    ----------
    tree : AST
        The equation.
    known : collection of str
        The names that the equation may use.
    owner : str
        The name of the quantity that the equation defines, for the error message.

    Raises
    ------
    UsageError
        The equation uses an undefined name; the message lists similar names.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in known:
            raise UsageError(unknown_name(f"name in the equation of {owner},", node.id, known))


def substitute(tree: ast.expr, expressions: Mapping[str, ast.expr]) -> ast.expr:
    """Replace each name in `expressions` by its expression; `tree` itself changes."""
    return _Substitution(expressions).visit(tree)


def build_function(
    name: str, arguments: Iterable[str], lines: Sequence[str], scope: Mapping[str, Any]
) -> Callable[..., Any]:
    """Compile a function from its source lines.

    Parameters
    ----------
    name : str
        Its name in tracebacks.
    arguments : iterable of str
        Its positional arguments.
    lines : sequence of str
        Its body, which may use the arguments, `FUNCTIONS` and the names in `scope`.
    scope : mapping
        Constants, arrays and functions by name.
    """
    namespace: dict[str, Any] = {**FUNCTIONS, **scope, "__builtins__": {}}
    # The lines are equations of this package or of the caller's program: no file holds any.
    exec("\n    ".join((f"def {name}({', '.join(arguments)}):", *lines)), namespace)  # nosec B102
    return namespace[name]


class Body:
    """Lines of a function that evaluates equations and shares their common parts.

    Each distinct function call gets a line of its own, so that equations that share it evaluate it once. Arithmetic
    with constants 0 and 1 is dropped.

    Parameters
    ----------
    constants : mapping
        The names that every equation may use. Those that are plain numbers are simplified away where possible.
    """

    def __init__(self, constants: Mapping[str, Any]) -> None:
        self.lines: list[str] = []
        self._constants = constants
        self._calls: dict[str, str] = {}

    def write(self, expression: str, names: Mapping[str, str], owner: str) -> str:
        """The source text of an expression, after lines for its calls have been added.

        Parameters
        ----------
        names : mapping
            The names that this equation may use beside the constants, each with the text that replaces it.
        owner : str
            The name of the quantity that the equation defines.

        Raises
        ------
        UsageError
            As `require_known_names`.
        """
        return f"({ast.unparse(self._tree(expression, names, owner))})"

    def write_to(self, target: str, expression: str, names: Mapping[str, str], owner: str) -> None:
        """Add a line that writes an expression's value into the array `target`; arguments and errors as `write`."""
        match self._tree(expression, names, owner):
            # The last operation writes straight into the target, which saves one temporary array per variable.
            case ast.BinOp(left, operator, right) if type(operator) in OPERATIONS:
                function = OPERATIONS[type(operator)].__name__
                self.lines.append(f"_{function}({ast.unparse(left)}, {ast.unparse(right)}, {target})")
            case tree:
                self.lines.append(f"{target}[...] = {ast.unparse(tree)}")

    def _tree(self, expression: str, names: Mapping[str, str], owner: str) -> ast.expr:
        tree = parse(expression)
        require_known_names(tree, names.keys() | self._constants.keys(), owner)
        constants = {name: value for name, value in self._constants.items() if name not in names}
        tree = _Simplification(constants).visit(tree)
        tree = substitute(tree, {name: parse(text) for name, text in names.items()})
        return _CallExtraction(self._line_for_call).visit(tree)

    def _line_for_call(self, call: str) -> str:
        if call not in self._calls:
            self._calls[call] = f"_call_{len(self._calls)}"
            self.lines.append(f"{self._calls[call]} = {call}")
        return self._calls[call]


class _Substitution(ast.NodeTransformer):
    """Replaces names by expressions."""

    def __init__(self, expressions: Mapping[str, ast.expr]) -> None:
        self._expressions = expressions

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._expressions.get(node.id, node)


class _CallExtraction(ast.NodeTransformer):
    """Replaces each function call by the name that `name_of` returns for its source text, inner calls first."""

    def __init__(self, name_of: Callable[[str], str]) -> None:
        self._name_of = name_of

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        return ast.Name(self._name_of(ast.unparse(node)), ast.Load())


class _Simplification(ast.NodeTransformer):
    """Drops factors of 1, terms of 0 and products with 0, which are most of a large network's arithmetic.

    The remaining operations give the same bits wherever the state is finite.
    """

    def __init__(self, constants: Mapping[str, Any]) -> None:
        self._constants = constants

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        left, right = self._number(node.left), self._number(node.right)
        match node.op, left, right:
            case (ast.Mult(), 0, _) | (ast.Mult(), _, 0):
                return ast.Constant(0.0)
            case (ast.Mult(), 1, _) | (ast.Add(), 0, _):
                return node.right
            case (ast.Mult() | ast.Div(), _, 1) | (ast.Add() | ast.Sub(), _, 0):
                return node.left
            case ast.Mult(), -1, _:
                return ast.UnaryOp(ast.USub(), node.right)
        match node:
            # -a + b becomes b - a, which is one operation instead of two.
            case ast.BinOp(ast.UnaryOp(ast.USub(), taken), ast.Add(), rest):
                return ast.BinOp(rest, ast.Sub(), taken)
        return node

    def _number(self, node: ast.expr) -> float | None:
        match node:
            case ast.Constant(int() | float() as value):
                return value
            case ast.Name(name) if isinstance(value := self._constants.get(name), int | float):
                return value
            case ast.UnaryOp(ast.USub(), operand) if (value := self._number(operand)) is not None:
                return -value
        return None
