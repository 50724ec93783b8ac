import numpy as np
import pytest

from astro_sim.biophysics import AstrocyteParameters, System, constants_of
from rmaat.base.errors import UsageError


def test_definitions_may_use_earlier_ones_and_states_may_be_arrays():
    system = System({"twice": "2 * x", "fourfold": "2 * twice"}, {"x": "fourfold + k * y", "y": "-x"})
    state = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    np.testing.assert_array_equal(system.with_constants({"k": 0.5})(state), [4 * state[0] + 0.5 * state[1], -state[0]])


@pytest.mark.parametrize(
    "system",
    [
        System({"fourfold": "2 * twice", "twice": "2 * x"}, {"x": "fourfold"}),
        System({"twice": "2 * x"}, {"x": "twise"}),
    ],
)
def test_a_name_that_nothing_defines_is_refused_with_near_ones(system: System):
    with pytest.raises(UsageError, match=r"unknown name in the equation of .* 'twi[cs]e'"):
        system.with_constants({})


def test_every_parameter_has_a_name_of_its_own():
    paths = [path for path, _, _ in AstrocyteParameters().parameters()]
    assert len(constants_of(AstrocyteParameters())) == len(paths)
