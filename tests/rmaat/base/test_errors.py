"""All errors that a user can cause derive from one class and have an exit status."""

import importlib
import inspect

import pytest

from rmaat.base.errors import RmaatError, UsageError

MODULES = [
    "rmaat.base.files",
    "rmaat.base.records.quantity",
    "distill.errors",
    "astro_sim.errors",
    "model.errors",
    "figures.errors",
]


@pytest.mark.parametrize("module", MODULES)
def test_all_errors_of_a_package_derive_from_rmaat_error(module):
    found = [
        value
        for _, value in inspect.getmembers(importlib.import_module(module), inspect.isclass)
        if issubclass(value, Exception) and value.__module__ == module
    ]
    assert found
    assert all(issubclass(error, RmaatError) for error in found)


def test_wrong_usage_exits_with_2_and_a_failure_with_1():
    assert (RmaatError.exit_status, UsageError.exit_status) == (1, 2)
