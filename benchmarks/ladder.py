"""How a model's accuracy grows with its size: one workload, trained anew for each value of a hyper-parameter.

    python -m benchmarks.ladder cifar10 width=12,17,24,34,48                          # as long as its workload.yaml says
    python -m benchmarks.ladder cifar10 width=12,17,24,34,48 --param training.epochs=3

The rungs differ in nothing but that hyper-parameter: they share the Transform's output, seed, epochs and learning rate. The weights
of a network of convolutions or dense layers grow with the square of its width, so these five have 0.25, 0.5, 1, 2 and 4 times
as many as cifar10's own. Each is measured on test; nothing is chosen by it. CPU seconds are those of a rung's whole process: imports,
training and evaluation.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil

from benchmarks.runs import run
from pipelines.several import own_home
from spec import home
from spec.workload import find_workload


def main() -> int:
    options = _options()
    metric = find_workload(options.workload)[0].champion_metric
    name, values = options.rungs
    with own_home() as folder:
        try:
            run(options.workload, "Transform", options.param)
            print(f"{name:>12}{'weights':>12}{metric:>12}{'CPU seconds':>14}", flush=True)
            for value in values:
                before = _cpu_seconds()
                result = run(options.workload, "Evaluator", [*options.param, f"{name}={value}"])
                seconds, weights = _cpu_seconds() - before, _weights(options.workload)
                print(f"{value:>12}{weights:>12,}{result['metrics'][metric]:>12.4f}{seconds:>14,.0f}", flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _weights(workload: str) -> int:
    """Of the model trained last."""
    runs = (home.pipeline_root(workload) / "Trainer" / "model_run").iterdir()
    newest = max(runs, key=lambda run: int(run.name))
    return int(json.loads((newest / "history.json").read_text(encoding="utf-8"))["parameters"])


def _cpu_seconds() -> float:
    """Of the processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _rungs(text: str) -> tuple[str, list[str]]:
    name, separator, values = text.partition("=")
    if not (name and separator and values):
        raise argparse.ArgumentTypeError(f"a hyper-parameter and its values, e.g. width=12,24,48. Received: {text!r}")
    return name, values.split(",")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ladder", description=__doc__.splitlines()[0])
    parser.add_argument("workload", help="its name, e.g. cifar10")
    parser.add_argument(
        "rungs", type=_rungs, metavar="NAME=VALUE,VALUE,...", help="the hyper-parameter, and its values"
    )
    parser.add_argument(
        "--param", action="append", default=[], metavar="KEY=VALUE", help="as of `trainyard run`, for all of them"
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
