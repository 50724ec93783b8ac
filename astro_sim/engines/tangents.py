"""Exact derivatives of a run of the rate model with respect to its parameters.

`scipy_engine` is the plain form, without derivatives. Here the tangents S = dy/dp, one for each parameter p, are
integrated together with the states y:

    dS/dt = (∂f/∂y) S + ∂f/∂p

The sum of both terms is the imaginary part of f(y + i h S, p + i h) / h with h = 1e-30. It is exact to rounding,
because nothing is subtracted (Squire and Trapp 1998, doi 10.1137/S003614459631241X). The equations of the model need no
change, and every tangent is a point of a batch. The derivatives of coupling and drive are differences of fourth order,
because these inputs take no time to compute.
"""

import ast
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from astro_sim.engines.batch_engine import BatchCoupling
from astro_sim.engines.stepping import METHODS, SolverStopped, make_solver, states_at
from astro_sim.equations.model import Model
from astro_sim.equations.right_hand_side import RightHandSide
from astro_sim.equations.stability import check_stability
from astro_sim.errors import SimulationError
from astro_sim.network.coupling import DenseCoupling, build_coupling
from astro_sim.network.geometry import build_geometry
from astro_sim.parameter_set import SimulationParameters
from astro_sim.protocol import Interval, build_intervals
from rmaat.base.arrays import Array
from rmaat.base.records import ParameterError, Quantity, unknown_name

IMAGINARY_STEP = 1e-30
INPUT_STEP = 1e-3
"""Step of the differences of coupling and drive, as a share of the parameter's unit."""
TANGENT_TOLERANCE = 1e-3
"""Absolute tolerance of a tangent divided by its relative tolerance.

A relative tolerance alone cannot be met where the tangent is 0.
"""


@dataclass(frozen=True, eq=False)
class Sensitivities:
    """States at given times, and their derivatives with respect to parameters.

    Attributes
    ----------
    times : (time,)
        In s.
    names : tuple of str
        The parameters.
    values : mapping of variable labels to (time, ...) arrays
        At an edge of two intervals, the value before any restart.
    slopes : mapping of variable labels to (time, ..., parameter) arrays
        Change of the value per change of the parameter, in the inverse of the parameter's unit.
    """

    times: Array
    names: tuple[str, ...]
    values: Mapping[str, Array]
    slopes: Mapping[str, Array]


def measure_sensitivities(parameters: SimulationParameters, names: Sequence[str], times: Array) -> Sensitivities:
    """Run the rate model together with its derivatives with respect to the parameters `names`.

    Parameters
    ----------
    names
        At least one of `smooth_parameters`.
    times : (time,)
        The times of the values, in s: increasing, above 0 and within the run.

    Raises
    ------
    ParameterError
        A name is not one of `smooth_parameters`, the network is too large for a dense coupling, or rest is not stable.
    SimulationError
        The solver gave up, or a state grew beyond all bounds.
    """
    quantities = smooth_parameters(parameters)
    for name in names:
        if name not in quantities:
            raise ParameterError(unknown_name("parameter to differentiate by,", name, quantities))
    network = parameters.network
    coupling = build_coupling(build_geometry(network), network)
    check_stability(network, parameters.form, parameters.model, parameters.protocol, coupling)
    units = np.array([unit_of(*quantities[name]) for name in names])
    system = _TangentSystem(parameters, [_input_slopes(parameters, name, *quantities[name]) for name in names])
    states, tangents = system.integrate(times)
    slopes = {label: tangent / units for label, tangent in system.rate.unpack(tangents).items()}
    return Sensitivities(times, tuple(names), system.single.unpack(states), slopes)


def smooth_parameters(parameters: SimulationParameters) -> dict[str, tuple[float, Quantity]]:
    """Value and quantity of every parameter that has a derivative.

    These are the real numbers of network, model and protocol, with two exceptions. Parameters of the protocol that have
    a unit are left out, because they move its edges or its random draws. So is coupling strength or spectral radius,
    whichever follows from the other.
    """
    given = f"coupling_{parameters.network.coupling_given_by}"
    derived = {"coupling_strength", "coupling_spectral_radius"} - {given}
    return {
        path[-1]: (value, quantity)
        for path, value, quantity in parameters.parameters()
        if isinstance(value, float)
        and path[0] in ("network", "model", "protocol")
        and (path[0] != "protocol" or quantity.unit == "1")
        and path[-1] not in derived
    }


def unit_of(value: float, quantity: Quantity) -> float:
    """The scale of a parameter: its own value if it is positive and cannot be negative, else 1."""
    return value if quantity.low >= 0 and value > 0 else 1.0


@dataclass(frozen=True, eq=False)
class _Inputs:
    """The inputs of a run that depend on parameters; a derivative of them has the same form.

    Attributes
    ----------
    constants : (constant,)
        The constants of the equations, in the order of their record.
    coupling : (post, pre, post, pre)
    presynaptic_drive, postsynaptic_drive : (interval, neuron)
    """

    constants: Array
    coupling: Array
    presynaptic_drive: Array
    postsynaptic_drive: Array

    @classmethod
    def of(cls, parameters: SimulationParameters) -> "_Inputs":
        network = parameters.network
        intervals = build_intervals(parameters.protocol, *network.sizes)
        return cls(
            np.array(list(parameters.model.to_dict().values())),
            build_coupling(build_geometry(network), network).dense(),
            np.stack([interval.presynaptic_drive for interval in intervals]),
            np.stack([interval.postsynaptic_drive for interval in intervals]),
        )

    def arrays(self) -> dict[str, Array]:
        return {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}


def _input_slopes(parameters: SimulationParameters, name: str, value: float, quantity: Quantity) -> _Inputs:
    """Change of the inputs per `unit_of` the parameter, from five of its values within its bounds."""
    # Near a bound the five points shift inwards; the weights for uneven offsets solve a Vandermonde system.
    step = unit_of(value, quantity) * INPUT_STEP
    offsets = np.arange(-2.0, 3.0)
    offsets += max(0.0, (quantity.low - value) / step - offsets[0])
    offsets -= max(0.0, offsets[-1] - (quantity.high - value) / step)
    weights = np.linalg.solve(np.vander(offsets, increasing=True).T, np.eye(5)[1]) / INPUT_STEP
    values = np.clip(value + step * offsets, quantity.low, quantity.high)
    nearby = [_Inputs.of(parameters.override({name: float(number)})).arrays() for number in values]
    slopes = {}
    for key, middle in nearby[2].items():
        # Subtract first: an input that does not change must have a slope of exactly 0.
        slopes[key] = np.tensordot(weights, np.stack([inputs[key] - middle for inputs in nearby]), 1)
    return _Inputs(**slopes)


class _TangentSystem:
    """States and tangents as one real system (variable, 1 + parameter); the first column holds the states.

    Attributes
    ----------
    single : RightHandSide
        The right-hand side of the states.
    rate : RightHandSide
        The right-hand side for complex states, with one point for each parameter.
    """

    def __init__(self, parameters: SimulationParameters, slopes: Sequence[_Inputs]) -> None:
        network = parameters.network
        self._intervals = build_intervals(parameters.protocol, *network.sizes)
        self._solver, self._parameters = parameters.solver, len(slopes)
        inputs = _Inputs.of(parameters)
        model, constants = parameters.form.model(network.presynaptic_neurons), parameters.model.to_dict()
        along = {
            key: np.stack([value + 1j * IMAGINARY_STEP * own.arrays()[key] for own in slopes], axis=-1)
            for key, value in inputs.arrays().items()
        }
        # Inputs that no parameter changes stay real: complex arithmetic is slower.
        moved = {name: row for name, row in zip(constants, along["constants"], strict=True) if row.imag.any()}
        tensors: Any = np.moveaxis(along["coupling"] if along["coupling"].imag.any() else along["coupling"].real, -1, 0)
        self._drives: Any = (along["presynaptic_drive"], along["postsynaptic_drive"])
        self.single = RightHandSide(model, constants, DenseCoupling(inputs.coupling))
        self.rate = RightHandSide(
            _with_analytic_powers(model),
            {**constants, **moved, **ANALYTIC},
            BatchCoupling([DenseCoupling(tensor) for tensor in tensors]),
        )

    def integrate(self, times: Array) -> tuple[Array, Array]:
        """States (time, size) and tangents (time, size x parameter) at `times`, per `unit_of` the parameters."""
        stored = np.empty((times.size, self.single.size, 1 + self._parameters))
        state = np.zeros(stored.shape[1:])
        for place, interval in enumerate(self._intervals):
            if interval.restart:
                state = self._restarted(state)
            inside = (times > interval.start) & (times <= interval.end)
            # The next interval starts from the end of this one, whether it is a stored time or not.
            found = self._solve(place, interval, state, np.union1d(times[inside], interval.end))
            stored[inside] = found[: np.count_nonzero(inside)]
            state = found[-1]
        return stored[..., 0], stored[..., 1:].reshape(times.size, -1)

    def _restarted(self, state: Array) -> Array:
        tangents = self.rate.restarted(state[:, 1:].ravel()).reshape(-1, self._parameters)
        return np.column_stack([self.single.restarted(state[:, 0]), tangents])

    def _solve(self, place: int, interval: Interval, state: Array, times: Array) -> Array:
        pre, post = (drive[place] for drive in self._drives)
        shape, derivative = state.shape, np.empty(state.shape)

        def rates(_: float, flat: Array) -> Array:
            columns = flat.reshape(shape)
            points: Any = columns[:, :1] + 1j * IMAGINARY_STEP * columns[:, 1:]
            rate = self.rate(points.ravel(), pre, post).reshape(shape[0], -1)
            derivative[:, 0], derivative[:, 1:] = rate[:, 0].real, rate.imag / IMAGINARY_STEP
            return derivative.ravel()

        relative = self._solver.relative_tolerance
        absolute = np.full(shape, TANGENT_TOLERANCE * relative)
        absolute[:, 0] = self._solver.absolute_tolerance
        # LSODA whatever the method of the parameters: it bounds the error of each tangent, DOP853 only their mean.
        solver = make_solver(
            METHODS["lsoda"], rates, interval.start, state.ravel(), interval.end, relative, absolute.ravel()
        )
        try:
            # Tangents may grow large; only the states, every (1 + parameters)th number, are watched.
            return states_at(solver, times, watched=slice(None, None, shape[1])).reshape(times.size, *shape)
        except SolverStopped as stop:
            raise SimulationError(
                f"scipy gave up after {stop.before:g} s ({stop.reason}); "
                "loosen the tolerances, or weaken drive or coupling"
            ) from None


def _analytic_power(base: Any, exponent: Any) -> Any:
    """`base**exponent`, with 0 to a complex power as 0 to its real part; NumPy returns NaN there."""
    with np.errstate(all="ignore"):
        return np.where(np.asarray(base) == 0, 0.0 ** np.real(exponent), base**exponent)


ANALYTIC: Mapping[str, Any] = {
    "abs": lambda x: np.where(np.real(x) < 0, -x, x),
    "sign": lambda x: np.sign(np.real(x)),
    "clip": lambda x, low, high: np.where(
        np.real(x) < np.real(low), low, np.where(np.real(x) > np.real(high), high, x)
    ),
    "_power": _analytic_power,
}
"""Functions that NumPy defines otherwise, or not at all, for complex numbers, continued from the real axis."""


def _with_analytic_powers(model: Model) -> Model:
    variables = tuple(dataclasses.replace(each, rate=_with_powers_called(each.rate)) for each in model.variables)
    signals = (_with_powers_called(text) for text in (model.synaptic_input, model.coupled_signal))
    return Model(variables, *signals)


def _with_powers_called(expression: str) -> str:
    return ast.unparse(_PowerCaller().visit(ast.parse(expression, mode="eval")))


class _PowerCaller(ast.NodeTransformer):
    """Replaces `a**b` by `_power(a, b)`."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Pow):
            return node
        return ast.Call(ast.Name("_power", ast.Load()), [node.left, node.right], [])
