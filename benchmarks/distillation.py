"""What a small network gains from a released model that teaches it.

    python -m benchmarks.distillation taxi digits mnist_small            # five seeds each
    python -m benchmarks.distillation digits --seeds 3 --teacher temperature=4 weight=0.7

The workload is trained as its workload.yaml says and promoted. Then a smaller network learns from the labels alone, and the same one,
from the same seed, from labels and teacher. Each is measured on test; nothing is chosen by it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.runs import run, trainyard
from pipelines.several import own_home
from spec.workload import find_workload

_STUDENTS = {
    "taxi": ("hidden_units=8", "embedding_size=2", "training.epochs=4"),
    "digits": ("filters=6", "training.epochs=20"),
    "mnist_small": ("network=dense", "training.epochs=20", "training.early_stopping_patience=null"),
}


def main() -> int:
    options = _options()
    print(f"{'workload':<14}{'teacher':>9}{'alone':>9}{'taught':>9}{'gain':>9}  by seed", flush=True)
    with own_home() as folder:
        try:
            for workload in options.workloads:
                _compare(workload, options.seeds, options.teacher)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _compare(workload: str, seeds: int, settings: Sequence[str]) -> None:
    metric = find_workload(workload)[0].champion_metric
    teacher = run(workload)["metrics"][metric]
    trainyard("release", "promote", workload, "1")
    # JSON is YAML, and so what --param takes.
    taught_by = json.dumps({"release": f"{workload}@1", **dict(_number(one) for one in settings)})
    alone, taught = [], []
    for seed in range(1, seeds + 1):
        student = (*_STUDENTS[workload], f"training.seed={seed}")
        alone.append(_measured(workload, metric, student))
        taught.append(_measured(workload, metric, (*student, f"training.teacher={taught_by}")))
    means = [statistics.mean(found) for found in (alone, taught)]
    gains = " ".join(f"{after - before:+.4f}" for before, after in zip(alone, taught, strict=True))
    print(
        f"{workload:<14}{teacher:>9.4f}{means[0]:>9.4f}{means[1]:>9.4f}{means[1] - means[0]:>+9.4f}  {gains}",
        flush=True,
    )


def _measured(workload: str, metric: str, parameters: Sequence[str]) -> float:
    found: float = run(workload, "Evaluator", parameters)["metrics"][metric]
    return found


def _number(setting: str) -> tuple[str, Any]:
    name, _, value = setting.partition("=")
    return name, float(value)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distillation", description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="+", choices=list(_STUDENTS), help="which teach")
    parser.add_argument("--seeds", type=int, default=5, help="of the small network (5)")
    parser.add_argument(
        "--teacher", nargs="*", default=(), metavar="KEY=VALUE", help="temperature and weight; default: workload.yaml's"
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
