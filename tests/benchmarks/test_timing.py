import math

import pytest

from benchmarks.timing import growth_exponent, resident_bytes, seconds_of, timed


def test_timed_returns_the_difference_of_the_clock_and_the_result():
    ticks = iter([10.0, 12.5, 20.0, 21.0])
    assert timed(lambda: "result", lambda: next(ticks)) == (2.5, "result")
    assert seconds_of(lambda: None, lambda: next(ticks)) == 1.0


@pytest.mark.parametrize(
    ("sizes", "power"), [((8192, 65536, 2**20), 1.02), (tuple(side**2 for side in (16, 64, 256)), 1.07)]
)
def test_the_growth_exponent_is_the_power_of_the_size(sizes, power):
    assert growth_exponent({size: 3e-9 * size**power for size in sizes}) == pytest.approx(power)


def test_one_size_has_no_growth_exponent():
    assert math.isnan(growth_exponent({8192: 1.0}))


def test_the_highest_resident_memory_is_at_least_the_present_one():
    # Linux updates both counters in steps, so they may differ by a few pages.
    present = resident_bytes("VmRSS")
    assert present > 1e6
    assert resident_bytes("VmHWM") > 0.95 * present
