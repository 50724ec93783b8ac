"""Run NEST's Li-Rinzel astrocyte. This is a separate script because NEST may be installed in another Python.

PYTHON nest_astrocyte.py REQUEST ANSWER

REQUEST is a JSON file with `parameters` of astrocyte_lr_1994, and `duration` and `interval` in ms. The script writes
ANSWER as JSON: `version`, `seconds` of the simulation alone, `times` in ms and the `calcium` in umol/L at these times.
"""

import json
import sys
import time
from pathlib import Path

import nest  # pyright: ignore[reportMissingImports]


def main(request: Path, answer: Path) -> None:
    """Simulate what `request` describes, at NEST's default resolution, and write `answer`."""
    wanted = json.loads(request.read_text())
    astrocyte = nest.Create("astrocyte_lr_1994", params=wanted["parameters"])
    meter = nest.Create("multimeter", params={"record_from": ["Ca_astro"], "interval": wanted["interval"]})
    nest.Connect(meter, astrocyte)
    started = time.perf_counter()
    nest.Simulate(wanted["duration"])
    seconds = time.perf_counter() - started
    events = meter.get("events")
    found = {"times": list(map(float, events["times"])), "calcium": list(map(float, events["Ca_astro"]))}
    answer.write_text(json.dumps({"version": nest.__version__, "seconds": seconds, **found}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
