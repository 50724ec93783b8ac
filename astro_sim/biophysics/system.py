"""Equations of one compartment, written as strings that NumPy and Brian2 both use.

`System` holds the differential equations and `Event` what a spike or a release changes at one moment. NumPy functions
are compiled from the strings here; `spiking/network.py` passes the same strings to Brian2. Unlike
`astro_sim.equations.model.Model`, a `System` has neither neurons nor synapses, but it names intermediate quantities.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from astro_sim.equations.compiler import build_function, parse, require_known_names, substitute
from astro_sim.equations.model import FUNCTIONS
from rmaat.base.arrays import Array
from rmaat.base.records import Record

Rate = Callable[[Array], Array]
"""From a state (variable, ...) to its time derivative of the same shape, per second."""
Change = Callable[[Sequence[Array] | Array], list[Array]]
"""From the values of the variables before an event to those after it, in the same order."""


@dataclass(frozen=True)
class System:
    """Differential equations.

    Attributes
    ----------
    definitions : mapping of names to expressions
        Intermediate quantities. Each may use the variables, the constants and earlier definitions.
    rates : mapping of variables to expressions
        Their time derivatives per second. The state has the variables in this order.
    """

    definitions: Mapping[str, str]
    rates: Mapping[str, str]

    def with_constants(self, constants: Mapping[str, Any]) -> Rate:
        """The time derivative as a NumPy function.

        Parameters
        ----------
        constants : mapping of names to numbers, arrays or functions
            All other names in the equations. Arrays broadcast against the values of a variable.

        Raises
        ------
        UsageError
            An equation uses an undefined name; the message lists similar names.
        """
        known = {*FUNCTIONS, *constants, *self.rates}
        for name, expression in (*self.definitions.items(), *self.rates.items()):
            require_known_names(parse(expression), known, name)
            known.add(name)
        lines = [f"{name} = {expression}" for name, expression in self.definitions.items()]
        lines.append(f"return [{', '.join(self.rates.values())}]")
        rates = build_function("rates", self.rates, lines, constants)
        return lambda state: np.array(rates(*state))

    def inlined(self) -> dict[str, str]:
        """The rates with every definition written out: Brian2 would need a unit for each definition."""
        inline: dict[str, ast.expr] = {}
        for name, expression in self.definitions.items():
            inline[name] = substitute(parse(expression), inline)
        return {name: ast.unparse(substitute(parse(expression), inline)) for name, expression in self.rates.items()}


@dataclass(frozen=True)
class Event:
    """A sudden change of variables, as when a spike arrives.

    Attributes
    ----------
    statements : tuple of (name, operator, expression)
        Assignments in order, with operator "=", "+=" or "-=". The names include intermediate quantities.
    """

    statements: tuple[tuple[str, str, str], ...]

    @property
    def text(self) -> str:
        """One line per statement, in the syntax of Brian2 and Python."""
        return "\n".join(map(" ".join, self.statements))

    def with_constants(self, constants: Mapping[str, Any], variables: Sequence[str]) -> Change:
        """The event as a NumPy function, which leaves its arguments unchanged.

        Parameters
        ----------
        constants : mapping of names to numbers
            All other names in the statements.
        variables : sequence of str
            The variables that the function takes and returns, in this order.

        Raises
        ------
        UsageError
            A statement uses an undefined name; the message lists similar names.
        """
        known = {*FUNCTIONS, *constants, *variables}
        lines = []
        for name, operator, expression in self.statements:
            require_known_names(parse(expression), known, name)
            known.add(name)
            # Not in place, because the arguments may be views of the state.
            lines.append(f"{name} = " + (expression if operator == "=" else f"{name} {operator[0]} ({expression})"))
        lines.append(f"return [{', '.join(variables)}]")
        change = build_function("change", variables, lines, constants)
        return lambda values: change(*values)


def constants_of(*records: Record) -> dict[str, float]:
    """Every parameter of `records` by its name in the equations."""
    return {path[-1]: value for record in records for path, value, _ in record.parameters()}
