"""Equations of a point in space, written once as strings: SciPy compiles them, and Brian2 reads the same.

Unlike `astro_sim.equations.model.Model`, a `System` has no neurons and no places, but it names intermediate
quantities.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from astro_sim.equations.model import FUNCTIONS
from rmaat.base.arrays import Array
from rmaat.base.errors import UsageError
from rmaat.base.records import Record, unknown_name

Rate = Callable[[Array], Array]
"""From a state (variable, ...) to its time derivative."""


@dataclass(frozen=True)
class System:
    """Differential equations.

    Attributes
    ----------
    definitions : mapping of names to expressions
        Intermediate quantities, in an order in which each uses only variables, constants and earlier ones.
    rates : mapping of variables to expressions
        Their time derivatives; the state is in this order.
    """

    definitions: Mapping[str, str]
    rates: Mapping[str, str]

    def with_constants(self, constants: Mapping[str, Any]) -> Rate:
        """The time derivative, per second, of a state (variable, ...); constants may be arrays, or functions.

        Raises
        ------
        UsageError
            An equation names what nothing defines; near names are listed.
        """
        fixed = {**FUNCTIONS, **constants, "__builtins__": {}}
        known = set(fixed) | set(self.rates)
        steps = []
        for name, expression in (*self.definitions.items(), *self.rates.items()):
            steps.append((name, _compile(name, expression, known)))
            known.add(name)
        definitions, rates = steps[: len(self.definitions)], steps[len(self.definitions) :]

        def rate(state: Array) -> Array:
            scope = {**fixed, **dict(zip(self.rates, state, strict=True))}
            for name, code in definitions:
                scope[name] = eval(code, scope)
            return np.array([eval(code, scope) for _, code in rates])

        return rate

    def inlined(self) -> dict[str, str]:
        """The rates without definitions: each stands where it was named, so that nobody need know its unit."""
        inline: dict[str, ast.expr] = {}
        for name, expression in self.definitions.items():
            inline[name] = _Inline(inline).visit(ast.parse(expression, mode="eval").body)
        return {
            name: ast.unparse(_Inline(inline).visit(ast.parse(expression, mode="eval").body))
            for name, expression in self.rates.items()
        }


def constants_of(*records: Record) -> dict[str, float]:
    """Every parameter of `records` by the name that equations use."""
    return {path[-1]: value for record in records for path, value, _ in record.parameters()}


def _compile(owner: str, expression: str, known: set[str]):
    tree = ast.parse(expression, mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in known:
            raise UsageError(unknown_name(f"name in the equation of {owner},", node.id, known - {"__builtins__"}))
    return compile(tree, f"<{owner}>", "eval")


class _Inline(ast.NodeTransformer):
    """Puts an expression in the place of each name in `expressions`."""

    def __init__(self, expressions: Mapping[str, ast.expr]) -> None:
        self._expressions = expressions

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._expressions.get(node.id, node)
