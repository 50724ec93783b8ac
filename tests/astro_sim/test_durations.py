from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_sim.durations import common_step, divides, exact, multiples


def test_a_tenth_divides_three_tenths_although_it_does_not_in_binary_floating_point():
    assert 0.3 % 0.1 != 0
    assert divides(0.1, 0.3)
    assert not divides(0.2, 0.3)


@given(st.integers(1, 10**6), st.integers(0, 6))
def test_exact_gives_the_decimal_number_that_the_user_wrote(digits: int, places: int):
    assert exact(float(f"{digits}e-{places}")) == Fraction(digits, 10**places)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=4))
def test_the_common_step_divides_every_length_and_no_longer_one_does(tenths: list[int]):
    lengths = [float(Fraction(count, 10)) for count in tenths]
    step = common_step(lengths)
    assert all(divides(step, length) for length in lengths)
    assert not any(all(divides(step * more, length) for length in lengths) for more in (2, 3, 5, 7))


def test_multiples_reach_the_length_and_do_not_accumulate_error():
    times = multiples(0.1, 100.0)
    np.testing.assert_array_equal(times, [float(f"{count / 10:.1f}") for count in range(1001)])


@pytest.mark.parametrize("lengths", [(25.0, 25.0), (0.5, 59.5), (10.0, 40.0)])
def test_the_common_step_of_stimulus_and_silence(lengths: tuple[float, float]):
    assert common_step(lengths) == {25.0: 25.0, 0.5: 0.5, 10.0: 10.0}[lengths[0]]
