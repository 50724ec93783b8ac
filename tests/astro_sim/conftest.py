"""Simulations shared by several test files."""

import pytest
import xarray as xr

from astro_sim import simulate


@pytest.fixture(scope="session")
def default_traces() -> xr.Dataset:
    return simulate()
