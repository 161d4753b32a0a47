"""What a process costs before it does anything: each component's imports, compared with TensorFlow's.

    python -m benchmarks.imports                 # every component, the lowest of three measurements
    python -m benchmarks.imports --rounds 5 Trainer Transform

A process that runs one node, such as a container on Kubeflow, imports TFX's launcher and the node's executor; the measured process
ends there. `all` imports every component but builds no graph, like `trainyard run`. The goal is 1.4 times the CPU seconds of
`import tensorflow`; wall-clock seconds depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.running import environment

_START = "from components import lazy_imports; lazy_imports.install(); "
_LAUNCHER = _START + "import tfx.orchestration.portable.launcher; "
EXECUTORS = {
    "SchemaImporter": "components.schema.executor",
    "ColumnarExampleGen": "components.ingestion.executor",
    "StatisticsGen": "components.statistics.executor",
    "ExampleValidator": "components.example_validator.executor",
    "DataQuality": "components.data_quality.executor",
    "Transform": "components.transform.executor",
    "Trainer": "components.trainer.executor",
    "ChampionResolver": "components.champion.executor",
    "Evaluator": "components.evaluator.executor",
    "InfraValidator": "components.infra_validator.executor",
    "Pusher": "components.pusher.executor",
    "Report": "components.report.executor",
    "BatchInference": "components.batch_inference.executor",
}
PROGRAMS = {
    "tensorflow": "import tensorflow",
    "tfx.v1": "from tfx import v1",
    **{name: f"{_LAUNCHER}import {module}" for name, module in EXECUTORS.items()},
    "all": _START + "import pipelines.runners.local, pipelines.training",
}


def measure(program: str) -> tuple[float, float, float]:
    """CPU seconds, wall-clock seconds and peak MiB of a fresh interpreter that runs a program.

    Raises:
        RuntimeError: it failed; its last line is in the message.
    """
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", program], env=environment(), stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{program!r} failed: {said.strip().splitlines()[-1:]}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - started, usage.ru_maxrss / 1024


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports", description="Import costs of the components.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PROGRAMS)}; default: all of them")
    parser.add_argument("--rounds", type=int, default=3, help="how often to measure; the lowest counts (3)")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(PROGRAMS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; known: {', '.join(PROGRAMS)}")
    names = ["tensorflow", *(name for name in options.names or PROGRAMS if name != "tensorflow")]
    # Round by round, so that a busy minute affects all of them.
    rounds = [{name: measure(PROGRAMS[name]) for name in names} for _ in range(max(1, options.rounds))]
    least = {name: tuple(min(one[name][i] for one in rounds) for i in range(3)) for name in names}
    print(f"{'import':20} {'CPU s':>6} {'wall s':>7} {'MiB':>6} {'x TensorFlow':>13}")
    for name, (cpu, wall, memory) in least.items():
        print(f"{name:20} {cpu:6.2f} {wall:7.2f} {memory:6.0f} {cpu / least['tensorflow'][0]:13.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
