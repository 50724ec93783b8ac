"""A model's equations compiled to one NumPy function of the flat state vector, as solvers want it."""

import ast
from collections.abc import Mapping
from types import CodeType
from typing import Any

import numpy as np

from astro_sim.arrays import Array
from astro_sim.coupling import as_matrix
from astro_sim.equations import FUNCTIONS, Model, Place
from rmaat.errors import UsageError
from rmaat.records import unknown_name


class RightHandSide:
    """The time derivative of a model's state.

    Parameters
    ----------
    model : Model
        Variables and equations.
    parameters : mapping of names to numbers or arrays
        What the equations name; arrays broadcast against the variable's own shape.
    coupling : (post, pre, source_post, source_pre)
        The tensor T.

    Raises
    ------
    UsageError
        An equation uses a name that nothing defines; near ones are listed.
    """

    def __init__(self, model: Model, parameters: Mapping[str, Any], coupling: Array) -> None:
        post, pre = coupling.shape[:2]
        sizes = {"post": post, "pre": pre}
        self.model = model
        self._constants = {**FUNCTIONS, **parameters, "__builtins__": {}}
        self._coupling = as_matrix(coupling)
        self._synapse_shape = (post, pre)
        self._shapes = {v.label: tuple(sizes[dim] for dim in v.dims) for v in model.variables}
        self.size = sum(int(np.prod(shape)) for shape in self._shapes.values())
        before_coupling = self._names(Place.SYNAPSE) - {"coupled_input"}
        own = {variable.name for variable in model.at(Place.SYNAPSE)}
        self._synaptic_input = self._compile(model.synaptic_input, before_coupling, "synaptic_input")
        self._coupled_signal = self._compile(model.coupled_signal, own, "coupled_signal")
        self._rates = [self._compile(v.rate, self._names(v.place), v.label) for v in model.variables]

    def __call__(self, state: Array, presynaptic_drive: Array, postsynaptic_drive: Array) -> Array:
        """d state / dt in 1/s for drives of shape (pre,) and (post,)."""
        values = self.unpack(state)
        pre, post, synapse = (
            {v.name: values[v.label] for v in self.model.at(place)} for place in (Place.PRE, Place.POST, Place.SYNAPSE)
        )
        synapse |= {f"{name}_pre": value[None, :] for name, value in pre.items()}
        synapse |= {f"{name}_post": value[:, None] for name, value in post.items()}
        synapse |= self._constants
        signal = np.broadcast_to(eval(self._coupled_signal, synapse), self._synapse_shape)
        synapse["coupled_input"] = (self._coupling @ signal.ravel()).reshape(signal.shape)
        synaptic_input = np.broadcast_to(eval(self._synaptic_input, synapse), self._synapse_shape).sum(axis=1)
        scopes = {
            Place.PRE: {**self._constants, **pre, "drive": presynaptic_drive},
            Place.POST: {**self._constants, **post, "drive": postsynaptic_drive, "synaptic_input": synaptic_input},
            Place.SYNAPSE: synapse,
        }
        derivative = np.empty_like(state)
        into = self.unpack(derivative)
        for variable, code in zip(self.model.variables, self._rates, strict=True):
            into[variable.label][...] = eval(code, scopes[variable.place])
        return derivative

    def unpack(self, state: Array) -> dict[str, Array]:
        """Views of `state` (..., size) by variable label, each (..., *shape of the variable)."""
        views, start = {}, 0
        for label, shape in self._shapes.items():
            stop = start + int(np.prod(shape))
            views[label] = state[..., start:stop].reshape(state.shape[:-1] + shape)
            start = stop
        return views

    def restarted(self, state: Array) -> Array:
        """A copy of `state` with the variables that restart set to 0."""
        fresh = state.copy()
        views = self.unpack(fresh)
        for variable in self.model.variables:
            if variable.restarts:
                views[variable.label][...] = 0
        return fresh

    def _names(self, place: Place) -> set[str]:
        names = {variable.name for variable in self.model.at(place)}
        if place is not Place.SYNAPSE:
            return names | ({"drive"} if place is Place.PRE else {"drive", "synaptic_input"})
        suffixed = {f"{v.name}_{dim}" for v in self.model.variables for dim in v.dims if len(v.dims) == 1}
        return names | suffixed | {"coupled_input"}

    def _compile(self, expression: str, names: set[str], owner: str) -> CodeType:
        tree = ast.parse(expression, mode="eval")
        known = names | set(self._constants)
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id not in known:
                raise UsageError(unknown_name(f"name in the equation of {owner},", node.id, known - {"__builtins__"}))
        return compile(tree, f"<{owner}>", "eval")
