import numpy as np
import pytest

from astro_sim.biophysics import ReleaseParameters, mean_release, release_at

PARAMETERS = ReleaseParameters()


def test_the_first_spikes_release_the_shares_calculated_by_hand():
    released = release_at(PARAMETERS, np.array([[5.0], [0.1]]))[:, 0]
    use = 0.6 * np.exp(-0.333)
    use += 0.6 * (1 - use)
    assert released == pytest.approx([0.6, use * (1 - 0.6 * np.exp(-0.2))])


def test_regular_spikes_far_apart_all_release_the_full_probability():
    assert mean_release(PARAMETERS, 1e-9) == pytest.approx(0.6)
    np.testing.assert_allclose(release_at(PARAMETERS, np.full((3, 2), 100.0)), 0.6, rtol=1e-9)


def test_release_per_second_saturates_at_the_recovery_rate():
    assert 1e6 * mean_release(PARAMETERS, 1e6) == pytest.approx(2.0, rel=1e-5)
    assert release_at(PARAMETERS, np.full((2000, 1), 1e-3))[1000:].mean() == pytest.approx(2e-3, rel=1e-2)
