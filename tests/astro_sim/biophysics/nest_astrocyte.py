"""Writes calcium of NEST's astrocyte at constant IP3, an independent reference for astro_sim.biophysics.

pip install nest-simulator==3.10.0; python nest_astrocyte.py nest_astrocyte.csv

Use a separate environment: NEST installs a NumPy that Brian2 2.9 cannot use, and its licence is the GPL.
"""

import csv
import sys

import nest

RUNS = {"amplitude": (0.5, 0.1), "frequency": (0.6, 0.051)}
DURATION, INTERVAL, STEP = 60_000.0, 500.0, 0.1


def main(path: str) -> None:
    """Write time in s, and calcium in umol/L and available receptors for both parameter sets, as CSV."""
    nest.resolution = STEP
    recorders = {}
    for name, (ip3, affinity) in RUNS.items():
        cell = nest.Create("astrocyte_lr_1994", params={"IP3": ip3, "IP3_0": ip3, "Km_SERCA": affinity})
        recorders[name] = nest.Create(
            "multimeter", params={"record_from": ["Ca_astro", "h_IP3R"], "interval": INTERVAL}
        )
        nest.Connect(recorders[name], cell)
    nest.Simulate(DURATION + STEP)
    events = {name: recorder.events for name, recorder in recorders.items()}
    times = events["amplitude"]["times"] / 1000
    columns = [events[name][variable] for name in RUNS for variable in ("Ca_astro", "h_IP3R")]
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["time"] + [f"{name}_{what}" for name in RUNS for what in ("calcium", "availability")])
        for row in zip(times, *columns, strict=True):
            writer.writerow([f"{value:.10g}" for value in row])


if __name__ == "__main__":
    main(sys.argv[1])
