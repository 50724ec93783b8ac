import json
import sys

import pytest


@pytest.fixture
def run_benchmark(monkeypatch):
    """Run a benchmark's `main` with arguments, and return the JSON that it writes."""

    def run(module, path, *arguments):
        monkeypatch.setattr(sys, "argv", [module.__name__, "--out", str(path), *arguments])
        module.main()
        result = json.loads(path.read_text())
        assert {"device", "date", "command", "versions"} <= result.keys()
        return result

    return run
