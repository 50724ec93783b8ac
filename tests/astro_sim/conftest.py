"""Simulations that several files of tests share."""

import pytest
import xarray as xr

from astro_sim import simulate


@pytest.fixture(scope="session")
def default_traces() -> xr.Dataset:
    return simulate()
