import numpy as np
import pytest

from astro_sim.biophysics import AstrocyteParameters, System, constants_of
from astro_sim.biophysics.system import Event
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
def test_an_undefined_name_is_refused_with_similar_names(system: System):
    with pytest.raises(UsageError, match=r"unknown name in the equation of .* 'twi[cs]e'"):
        system.with_constants({})


RELEASE = Event((("used", "+=", "share * (1 - used)"), ("released", "=", "used * left"), ("left", "-=", "released")))


def test_an_event_runs_its_statements_in_order_and_leaves_its_arguments_unchanged():
    before = np.array([[0.0, 0.5], [1.0, 0.5]])
    used, left = RELEASE.with_constants({"share": 0.5}, ("used", "left"))(before)
    np.testing.assert_array_equal(used, [0.5, 0.75])
    np.testing.assert_array_equal(left, [0.5, 0.125])
    np.testing.assert_array_equal(before, [[0.0, 0.5], [1.0, 0.5]])


def test_an_event_refuses_an_undefined_name_and_one_that_is_assigned_later():
    with pytest.raises(UsageError, match="unknown name in the equation of used, 'share'"):
        RELEASE.with_constants({}, ("used", "left"))
    with pytest.raises(UsageError, match="unknown name in the equation of left, 'released'"):
        Event(RELEASE.statements[::-1]).with_constants({"share": 0.5}, ("used", "left"))


def test_the_text_of_an_event_has_one_statement_a_line():
    assert RELEASE.text == "used += share * (1 - used)\nreleased = used * left\nleft -= released"


def test_no_two_parameters_of_an_astrocyte_share_a_name():
    paths = [path for path, _, _ in AstrocyteParameters().parameters()]
    assert len(constants_of(AstrocyteParameters())) == len(paths)
