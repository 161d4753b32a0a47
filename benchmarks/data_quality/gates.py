"""Trainyard's side: the executors of the data gates, and the pages, called as in a run.

Usage: python -m benchmarks.data_quality.gates DATA OUT.json
"""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from components import lazy_imports, prepared

_WORKER = "components.data_quality.worker"


def main(arguments: list[str]) -> int:
    data, out = map(pathlib.Path, arguments)
    started = time.monotonic()
    lazy_imports.install()
    prepared.prepare(_WORKER)  # like a run: it imports while this process imports
    with tempfile.TemporaryDirectory(prefix="trainyard-gates-") as scratch:
        found = _Run(data, pathlib.Path(scratch)).all(started)
    out.write_text(json.dumps(found), encoding="utf-8")
    return 0


class _Run:
    def __init__(self, data: pathlib.Path, scratch: pathlib.Path) -> None:
        self._data, self._scratch = data, scratch
        self._seconds: dict[str, float] = {}

    def all(self, started: float) -> dict[str, Any]:
        from tfx.dsl.components.base import base_beam_executor
        from tfx.types import standard_artifacts

        from benchmarks.data_quality.data import SPLITS
        from benchmarks.data_quality.suite import expectations
        from components import border
        from components.artifacts import DataDrift, DataQualityReport
        from components.columnar import encode_splits, mark_as_parquet
        from components.data_quality.contract import digest
        from components.data_quality.executor import DataQualityExecutor
        from components.drift.executor import Executor as DriftDetector
        from components.example_validator.executor import Executor as ExampleValidator
        from components.report.collect import artifact_facts, collect
        from components.statistics.executor import Executor as StatisticsGen
        from quality.history import History
        from quality.history import runs as recording
        from quality.reports import build
        from spec.workload import Drift

        self._seconds["imports"] = time.monotonic() - started
        made: dict[str, Any] = {}

        def artifact(kind: Any, role: str, uri: pathlib.Path | None = None) -> list[Any]:
            one = kind()
            one.uri = str(uri or self._scratch / role)
            pathlib.Path(one.uri).mkdir(exist_ok=True)
            made[role] = [one]
            return [one]

        examples = artifact(standard_artifacts.Examples, "examples", self._data / "examples")
        examples[0].split_names = encode_splits(SPLITS)
        examples[0].span = 1
        mark_as_parquet(examples[0])
        schema = artifact(standard_artifacts.Schema, "schema", self._data / "schema")
        suite = self._scratch / "contract" / "expectations.json"  # what lies beside it is a part of it
        suite.parent.mkdir()
        suite.write_text(json.dumps({"name": "taxi", "expectations": expectations(), "meta": {}}), encoding="utf-8")
        inputs = {"examples": examples, "schema": schema}
        beam = base_beam_executor.BaseBeamExecutor.Context(tmp_dir=str(self._scratch / "tmp"), unique_id="1")
        with self._stage("statistics"):
            statistics = artifact(standard_artifacts.ExampleStatistics, "statistics")
            StatisticsGen(beam).Do(inputs, {"statistics": statistics}, {})
        with self._stage("schema"):
            anomalies = artifact(standard_artifacts.ExampleAnomalies, "anomalies")
            judged = {**inputs, "statistics": statistics}
            ExampleValidator().Do(judged, {"anomalies": anomalies}, {"pipeline_root": ""})
        with self._stage("expectations"):
            quality = artifact(DataQualityReport, "data_quality")
            properties = {"suite_file": str(suite), "suite_digest": digest(suite), "fail_on": "never"}
            properties |= {**dict.fromkeys(("keys", "code", "left_out"), "[]"), "waivers": "", "pipeline_root": ""}
            DataQualityExecutor().Do(inputs, {"data_quality": quality}, properties)
        with self._stage("drift"):
            drift = artifact(DataDrift, "drift")
            properties = {"allowed": border.dump(Drift()), "label": "big_tipper", "pipeline_root": ""}
            DriftDetector().Do(inputs, {"drift": drift}, {**properties, "baseline": str(self._data / "baseline")})
        with self._stage("pages"):
            roles = {role: facts for role, one in made.items() if (facts := artifact_facts(one)) is not None}
            found = collect({"name": "taxi", "owner": "benchmark"}, "run-1", roles)
            validation = recording.from_run(found, 1)
            assert validation is not None
            with History.open(f"sqlite:///{self._scratch / 'quality.sqlite'}") as history:
                history.record(validation)
                build(history, self._scratch / "site")
        return {
            "seconds": {name: round(spent, 3) for name, spent in self._seconds.items()},
            "checks": dict(_checks(pathlib.Path(quality[0].uri) / "gate.json")),
            "drifted": _drifted(pathlib.Path(drift[0].uri) / "gate.json"),
        }

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self._seconds[name] = time.monotonic() - started


def _checks(path: pathlib.Path) -> Iterator[tuple[str, list[Any]]]:
    """For each expectation: whether it holds, and how many values do not meet it."""
    for check in json.loads(path.read_text(encoding="utf-8"))["checks"]:
        found = check["diagnostics"]
        unexpected = found.get("unexpected_count") if "element_count" in found else None
        yield key(found["expectation"], found["kwargs"]), [check["passes"], unexpected]


def key(expectation: str, kwargs: dict[str, Any]) -> str:
    """A name that only one of the 60 expectations has."""
    return f"{expectation}({kwargs.get('column', '')})"


def _drifted(path: pathlib.Path) -> list[str]:
    checks = json.loads(path.read_text(encoding="utf-8"))["checks"]
    return sorted(
        one["diagnostics"]["column"] for one in checks if not one["passes"] and "measures" in one["diagnostics"]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
