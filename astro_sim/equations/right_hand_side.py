"""A model's equations compiled to one NumPy function of the flat state vector, as solvers want it."""

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from astro_sim.equations.model import FUNCTIONS, Model, Place
from astro_sim.network.coupling import Coupling
from rmaat.base.arrays import Array
from rmaat.base.errors import UsageError
from rmaat.base.records import unknown_name

OPERATIONS: Mapping[type[ast.operator], Any] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
}
"""What NumPy calls the operations, so that the result of one goes where it is wanted without a copy."""


class RightHandSide:
    """The time derivative of a model's state.

    Parameters
    ----------
    model : Model
        Variables and equations.
    parameters : mapping of names to numbers or arrays
        What the equations name; arrays broadcast against the variable's own shape.
    coupling : Coupling
        The operator T; every variable has its axes of points after its own.

    Raises
    ------
    UsageError
        An equation uses a name that nothing defines; near ones are listed.
    """

    def __init__(self, model: Model, parameters: Mapping[str, Any], coupling: Coupling) -> None:
        sizes: dict[str, int] = dict(zip(("post", "pre"), coupling.shape, strict=True))
        self.model = model
        shapes = {v.label: (*(sizes[dim] for dim in v.dims), *coupling.points) for v in model.variables}
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
        starts = [0, *map(int, ends[:-1])]
        self.size = int(ends[-1])
        self._places = {
            label: (slice(start, int(end)), shape)
            for (label, shape), start, end in zip(shapes.items(), starts, ends, strict=True)
        }
        self._write_rates = _compile(model, parameters, coupling)

    def __call__(self, state: Array, presynaptic_drive: Array, postsynaptic_drive: Array) -> Array:
        """d state / dt in 1/s for drives of shape (pre,) and (post,)."""
        derivative = np.empty(self.size, state.dtype)
        values, rates = (
            [array[place].reshape(shape) for place, shape in self._places.values()] for array in (state, derivative)
        )
        self._write_rates(*values, presynaptic_drive, postsynaptic_drive, *rates)
        return derivative

    def unpack(self, state: Array) -> dict[str, Array]:
        """Views of `state` (..., size) by variable label, each (..., *shape of the variable)."""
        leading = state.shape[:-1]
        return {label: state[..., place].reshape(leading + shape) for label, (place, shape) in self._places.items()}

    def restarted(self, state: Array) -> Array:
        """A copy of `state` with the variables that restart set to 0."""
        fresh = state.copy()
        views = self.unpack(fresh)
        for variable in self.model.variables:
            if variable.restarts:
                views[variable.label][...] = 0
        return fresh


def _compile(model: Model, parameters: Mapping[str, Any], coupling: Coupling) -> Callable[..., None]:
    """One function of the variables, in order, the two drives, and the arrays into which it writes the rates.

    What the equations share is evaluated once, and what changes nothing is left out. Every name but those of functions
    and parameters starts with an underscore, so that none can collide.
    """
    shape = (*coupling.shape, *coupling.points)
    body = _Body({**dict.fromkeys(FUNCTIONS), **parameters})
    at_synapse = _names_at_synapses(model)
    own = {variable.name: f"_{variable.label}" for variable in model.at(Place.SYNAPSE)}
    signal = body.write(model.coupled_signal, own, "coupled_signal")
    synaptic_input = body.write(model.synaptic_input, at_synapse, "synaptic_input")
    body.lines.append(f"_coupled_input = _coupled({signal})")
    body.lines.append(f"_synaptic_input = _summed({synaptic_input})")
    names = {
        Place.PRE: {v.name: f"_{v.label}" for v in model.at(Place.PRE)} | {"drive": "_pre_drive"},
        Place.POST: {v.name: f"_{v.label}" for v in model.at(Place.POST)}
        | {"drive": "_post_drive", "synaptic_input": "_synaptic_input"},
        Place.SYNAPSE: at_synapse | {"coupled_input": "_coupled_input"},
    }
    for v in model.variables:
        body.write_to(f"_rate_of_{v.label}", v.rate, names[v.place], v.label)
    variables = [f"_{v.label}" for v in model.variables]
    arguments = [*variables, "_pre_drive", "_post_drive", *(f"_rate_of{variable}" for variable in variables)]
    lines = [f"def _write_rates({', '.join(arguments)}):", *body.lines]
    scope: dict[str, Any] = {
        **FUNCTIONS,
        **parameters,
        **{f"_{function.__name__}": function for function in OPERATIONS.values()},
        "_coupled": lambda signal: coupling.apply(_filled(signal, shape)),
        "_summed": lambda inputs: _filled(inputs, shape).sum(axis=1),
        "__builtins__": {},
    }
    exec("\n    ".join(lines), scope)
    return scope["_write_rates"]


def _filled(values: Any, shape: tuple[int, ...]) -> Array:
    """`values` in that shape; where they have it already, sooner than by broadcasting."""
    return values if np.shape(values) == shape else np.broadcast_to(values, shape)


def _names_at_synapses(model: Model) -> dict[str, str]:
    """Names that a synapse's equations may use, but for `coupled_input`, and what they stand for."""
    pre = {f"{v.name}_pre": f"_{v.label}[None, :]" for v in model.at(Place.PRE)}
    post = {f"{v.name}_post": f"_{v.label}[:, None]" for v in model.at(Place.POST)}
    return {v.name: f"_{v.label}" for v in model.at(Place.SYNAPSE)} | pre | post


class _Body:
    """Lines of the function, into which expressions are written one by one; `constants` are what all may name."""

    def __init__(self, constants: Mapping[str, Any]) -> None:
        self.lines: list[str] = []
        self._constants = constants
        self._calls: dict[str, str] = {}

    def write(self, expression: str, names: Mapping[str, str], owner: str) -> str:
        """The expression with `names` replaced and calls, evaluated in lines of their own, replaced by results."""
        return f"({ast.unparse(self._tree(expression, names, owner))})"

    def write_to(self, target: str, expression: str, names: Mapping[str, str], owner: str) -> None:
        """A line that leaves the expression's value in the array `target`; the last operation writes it there."""
        match self._tree(expression, names, owner):
            case ast.BinOp(left, operator, right) if type(operator) in OPERATIONS:
                function = OPERATIONS[type(operator)].__name__
                self.lines.append(f"_{function}({ast.unparse(left)}, {ast.unparse(right)}, {target})")
            case tree:
                self.lines.append(f"{target}[...] = {ast.unparse(tree)}")

    def _tree(self, expression: str, names: Mapping[str, str], owner: str) -> ast.expr:
        tree = ast.parse(expression, mode="eval").body
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id not in names.keys() | self._constants.keys():
                raise UsageError(unknown_name(f"name in the equation of {owner},", node.id, {*names, *self._constants}))
        own = {name: value for name, value in self._constants.items() if name not in names}
        return _Writer(names, self._hoist).visit(_Shortener(own).visit(tree))

    def _hoist(self, call: str) -> str:
        if call not in self._calls:
            self._calls[call] = f"_call_{len(self._calls)}"
            self.lines.append(f"{self._calls[call]} = {call}")
        return self._calls[call]


class _Shortener(ast.NodeTransformer):
    """Leaves out factors of 1, terms of 0 and what is multiplied by 0, which is most of a large network's arithmetic.

    What is left gives the same bits wherever the state is finite.
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


class _Writer(ast.NodeTransformer):
    """Replaces names, and calls by what `hoist` makes of them."""

    def __init__(self, names: Mapping[str, str], hoist: Callable[[str], str]) -> None:
        self._names, self._hoist = names, hoist

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.parse(self._names.get(node.id, node.id), mode="eval").body

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        return ast.Name(self._hoist(ast.unparse(node)), ast.Load())
