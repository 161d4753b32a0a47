"""What pruning saves in a search for hyper-parameters, and what a second process gains.

    python -m benchmarks.search taxi digits                    # 24 trials each, three searches a workload
    python -m benchmarks.search digits --trials 8 --param epochs=8

The same combinations, drawn at random, are tried three times on the same held-out rows of train: to their end, with ASHA, and to
their end by two processes. Epochs are those that were trained. Seconds are those of the search, with the start of its processes.
"""

from __future__ import annotations

import argparse
import json
import shutil
from typing import Any

from benchmarks.runs import run
from pipelines.several import own_home

_RATE = {"type": "float", "low": 1e-4, "high": 3e-2, "log": True}
_DROPOUT = {"type": "float", "low": 0.0, "high": 0.5}
_SPACES: dict[str, dict[str, Any]] = {
    "taxi": {
        "learning_rate": _RATE,
        "embedding_size": {"type": "int", "low": 2, "high": 16},
        "hidden_units": {"type": "int", "low": 8, "high": 128, "log": True},
        "dropout": _DROPOUT,
    },
    "digits": {"learning_rate": _RATE, "filters": {"type": "int", "low": 4, "high": 48}, "dropout": _DROPOUT},
}
_SEARCHES: dict[str, dict[str, Any]] = {
    "to their end": {"pruner": "none", "parallel": 1},
    "asha": {"pruner": "asha", "parallel": 1},
    "two processes": {"pruner": "none", "parallel": 2},
}


def main() -> int:
    options = _options()
    with own_home() as folder:
        try:
            for workload in options.workloads:
                run(workload, "Transform", options.param)
                _compare(workload, options)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _compare(workload: str, options: argparse.Namespace) -> None:
    print(f"{workload:<16}{'best':>10}{'epochs':>10}{'seconds':>10}{'trials/min':>12}", flush=True)
    found: dict[str, dict[str, Any]] = {}
    for name, settings in _SEARCHES.items():
        search = {"trials": options.trials, "sampler": "random", "space": _SPACES[workload], **settings}
        result = run(workload, "Tuner", [*options.param, f"training.search={json.dumps(search)}"])
        record = found[name] = result["search"]
        rate = 60 * options.trials / record["seconds"]
        print(
            f"{name:<16}{record['value']:>10.4f}{record['epochs']['spent']:>10,}{record['seconds']:>10.1f}{rate:>12.1f}",
            flush=True,
        )
    whole, pruned, two = found.values()
    saved = 1 - pruned["epochs"]["spent"] / whole["epochs"]["spent"]
    print(
        f"asha saves {saved:.0%} of the epochs; its best is {pruned['value'] - whole['value']:+.4f} {whole['metric']} away. "
        f"Two processes: {whole['seconds'] / two['seconds']:.2f} times as many trials a minute.\n",
        flush=True,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="+", choices=list(_SPACES), help="which are searched")
    parser.add_argument("--trials", type=int, default=24, help="of each search (24)")
    parser.add_argument("--param", action="append", default=[], metavar="KEY=VALUE", help="as of `trainyard run`")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
