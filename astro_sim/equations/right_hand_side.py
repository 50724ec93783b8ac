"""Compiles a model's equations to one NumPy function of the flat state vector, the form that solvers need."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from astro_sim.equations.compiler import OPERATIONS, Body, build_function
from astro_sim.equations.model import FUNCTIONS, Model, Place
from astro_sim.network.coupling import Coupling
from rmaat.base.arrays import Array


class RightHandSide:
    """The time derivative of a model's state, as a function of the flat state vector.

    Parameters
    ----------
    model : Model
        Variables and equations.
    parameters : mapping of names to numbers or arrays
        The constants in the equations. Arrays broadcast against the shape of the equation's variable.
    coupling : Coupling
        The operator T, which sets the number of neurons. If it couples several networks, its axes of points follow the
        axes of each variable.

    Raises
    ------
    UsageError
        An equation uses an undefined name; the message lists similar names.
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
        """The derivative (size,) in 1/s.

        Parameters
        ----------
        state : (size,)
            All variables one after the other, dimensionless; `unpack` gives them by name.
        presynaptic_drive, postsynaptic_drive : (pre, *points), (post, *points)
            Input to the neurons, dimensionless.
        """
        derivative = np.empty(self.size, state.dtype)
        values, rates = (
            [array[place].reshape(shape) for place, shape in self._places.values()] for array in (state, derivative)
        )
        self._write_rates(*values, presynaptic_drive, postsynaptic_drive, *rates)
        return derivative

    def unpack(self, state: Array) -> dict[str, Array]:
        """Views of `state` (..., size) by the label of the variable, each (..., *shape of the variable)."""
        leading = state.shape[:-1]
        return {label: state[..., place].reshape(leading + shape) for label, (place, shape) in self._places.items()}

    def restarted(self, state: Array) -> Array:
        """A copy of `state` (size,) in which the variables that restart are 0."""
        fresh = state.copy()
        views = self.unpack(fresh)
        for variable in self.model.variables:
            if variable.restarts:
                views[variable.label][...] = 0
        return fresh


def _compile(model: Model, parameters: Mapping[str, Any], coupling: Coupling) -> Callable[..., None]:
    """The function that writes all rates: from the variables in order, the two drives and the arrays for the rates."""
    shape = (*coupling.shape, *coupling.points)
    # Names of our own start with an underscore, so that they cannot collide with parameters or functions.
    variables = [f"_{v.label}" for v in model.variables]
    arguments = [*variables, "_pre_drive", "_post_drive", *(f"_rate_of{variable}" for variable in variables)]
    scope = {
        **parameters,
        **{f"_{function.__name__}": function for function in OPERATIONS.values()},
        "_coupled": lambda signal: coupling.apply(_filled(signal, shape)),
        "_summed": lambda inputs: _filled(inputs, shape).sum(axis=1),
    }
    return build_function("_write_rates", arguments, _lines(model, {**dict.fromkeys(FUNCTIONS), **parameters}), scope)


def _lines(model: Model, constants: Mapping[str, Any]) -> list[str]:
    """The body of the function: first the two sums over synapses, then every rate."""
    body = Body(constants)
    names = _names(model)
    own = {variable.name: f"_{variable.label}" for variable in model.at(Place.SYNAPSE)}
    signal = body.write(model.coupled_signal, own, "coupled_signal")
    synaptic_input = body.write(model.synaptic_input, names[Place.SYNAPSE], "synaptic_input")
    body.lines.append(f"_coupled_input = _coupled({signal})")
    body.lines.append(f"_synaptic_input = _summed({synaptic_input})")
    # The rates may use the sums, which do not exist before the lines above.
    names[Place.SYNAPSE]["coupled_input"] = "_coupled_input"
    for v in model.variables:
        body.write_to(f"_rate_of_{v.label}", v.rate, names[v.place], v.label)
    return body.lines


def _names(model: Model) -> dict[Place, dict[str, str]]:
    """The names that equations may use at each place, except `coupled_input`, with the text that replaces each."""
    pre, post, synapse = (
        {v.name: f"_{v.label}" for v in model.at(place)} for place in (Place.PRE, Place.POST, Place.SYNAPSE)
    )
    return {
        Place.PRE: pre | {"drive": "_pre_drive"},
        Place.POST: post | {"drive": "_post_drive", "synaptic_input": "_synaptic_input"},
        Place.SYNAPSE: synapse
        | {f"{name}_pre": f"{text}[None, :]" for name, text in pre.items()}
        | {f"{name}_post": f"{text}[:, None]" for name, text in post.items()},
    }


def _filled(values: Any, shape: tuple[int, ...]) -> Array:
    """`values` broadcast to `shape`."""
    # Most values have the shape already, and the check costs less than a broadcast.
    return values if np.shape(values) == shape else np.broadcast_to(values, shape)
