"""What each way of compressing a model saves and costs, on whole workloads.

    python -m benchmarks.variants mnist taxi

A workload is trained as its workload.yaml says, with a variant by each method, and without limits. Metric and sizes are of the test
split and of what serves; times are of requests of 1 and of 64 rows from raw columns to answers, the least of many rounds in which the
model and its variants take turns.
"""

from __future__ import annotations

import argparse
import json
import shutil
import typing
from collections.abc import Mapping
from typing import Any

from benchmarks.runs import run
from pipelines.several import own_home
from spec import home
from spec.workload import Method, workload_names

_NO_LIMITS = {"max_loss": 1e9, "max_size": 100}
_HEAD = f"{'':<16}{'metric':>9}{'bytes':>12}{'compressed':>12}{'share':>7}{'1 row ms':>10}{'share':>7}{'64 rows ms':>12}{'share':>7}"


def main() -> int:
    options = _options()
    methods = options.methods or typing.get_args(Method)
    with own_home() as folder:
        try:
            for workload in options.workloads:
                variants = [{"name": one.replace("-", "_"), "method": one, **_NO_LIMITS} for one in methods]
                found = run(workload, "Evaluator", [f"export.variants={json.dumps(variants)}"])["variants"]
                print(f"\n{workload}, {found['metric']}\n{_HEAD}", flush=True)
                for one in ({**found["original"], "method": "the model"}, *found["variants"]):
                    print(_line(one, found["original"]), flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _line(one: Mapping[str, Any], original: Mapping[str, Any]) -> str:
    parts = [f"{one['method']:<16}{one['value']:>9.4f}{one['bytes']:>12,}{one['compressed_bytes']:>12,}"]
    parts.append(f"{one['compressed_bytes'] / original['compressed_bytes']:>7.2f}")
    for rows, width in (("1", 10), ("64", 12)):
        took = one["milliseconds"][rows]
        parts.append(f"{took:>{width}.3f}{took / original['milliseconds'][rows]:>7.2f}")
    return "".join(parts)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variants", description=__doc__.splitlines()[0])
    known = workload_names(home.workloads_root())
    parser.add_argument("workloads", nargs="+", choices=known, metavar="workload", help="whose models are compressed")
    parser.add_argument("--methods", nargs="*", choices=typing.get_args(Method), help="all by default")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
