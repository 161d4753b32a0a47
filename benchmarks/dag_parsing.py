"""How long Airflow takes to read the DAG folder: `python -m benchmarks.dag_parsing`, in the airflow environment.

Makes workloads (50 by default) and reads `dags/` in a fresh process, as the DAG processor does for each file. CPU seconds are
shown beside wall-clock seconds because they are comparable even on a shared machine.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from spec import home

_WORKLOAD = """\
name: {name}
task: binary
owner: team-{number}
description: Workload {number} of a benchmark.
data:
  label: {{column: y}}
  window: 2
  ignore: [a, b, c]
training: {{epochs: 20, batch_size: 128, hyperparameters: {{learning_rate: 0.001, hidden_units: 64}}}}
evaluation:
  thresholds: [{{metric: auc, min: 0.9}}, {{metric: accuracy, min: 0.85}}]
  slices: [hour, payment]
schedule: {{cron: "{minute} 3 * * 1", deadline_minutes: 90}}
batch: {{uri: "{{DATA}}/_inbox/{{WORKLOAD}}/*.csv"}}
"""
# First Airflow's own imports, then ours with what they pull in, then the files.
_READ = """
import json, sys, time
def now(): return time.perf_counter(), time.process_time()
def since(start): return [b - a for a, b in zip(start, now())]
start = now(); from airflow.dag_processing.dagbag import DagBag; from airflow.sdk import DAG
import airflow.timetables.trigger, airflow.providers.standard.operators.trigger_dagrun
figures = {"airflow": since(start)}
start = now(); import dags.factory
figures["ours"] = since(start)
start = now(); bag = DagBag("dags")
figures["files"] = since(start)
figures["dags"], figures["errors"] = len(bag.dags), list(bag.import_errors.values())
print("FIGURES " + json.dumps(figures))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workloads", type=int, default=50)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_workloads(pathlib.Path(folder, "workloads"), options.workloads)
        found = [read_folder(pathlib.Path(folder)) for _ in range(options.repeat)]
    if found[0]["errors"]:
        print(found[0]["errors"][0], file=sys.stderr)
        return 1
    print(f"{options.workloads} workloads, {found[0]['dags']} DAGs, median of {options.repeat} fresh processes")
    print(f"{'':<36}{'seconds':>10}{'CPU':>10}")
    for name, text in (
        ("airflow", "Airflow's imports"),
        ("ours", "imports of dags/"),
        ("files", "reading the folder (both files)"),
    ):
        clock, cpu = (statistics.median(one[name][i] for one in found) for i in (0, 1))
        print(f"{text:<36}{clock:>10.2f}{cpu:>10.2f}")
    return 0


def make_workloads(folder: pathlib.Path, number: int) -> None:
    """Writes the given number of workload.yaml files, each of a realistic size."""
    for n in range(number):
        path = folder / f"workload_{n:03}" / "workload.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(_WORKLOAD.format(name=path.parent.name, number=n, minute=n % 60))


def read_folder(folder: pathlib.Path) -> dict[str, list[float]]:
    """Wall-clock and CPU seconds of each part, in a fresh process."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "TRAINYARD"))} | {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "TRAINYARD_HOME": str(folder / "home"),
        "TRAINYARD_WORKLOADS": str(folder / "workloads"),
    }
    done = subprocess.run(
        [sys.executable, "-c", _READ], cwd=home.ROOT, env=environment, capture_output=True, text=True, check=True
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("FIGURES "))
    return json.loads(line.removeprefix("FIGURES "))


if __name__ == "__main__":
    sys.exit(main())
