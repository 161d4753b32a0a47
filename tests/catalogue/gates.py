"""The data gates of a workload on one delivered span: the executors that `trainyard run` calls, in this process.

Left out is what has no say about data: metadata store, drivers, cache. Great Expectations is not given a process of its own:
its import, paid once here, would be most of a case's time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import pathlib
import types
from collections.abc import Iterator, Mapping
from typing import Any
from unittest import mock

from components import border
from components.gates import GateFailed, GateResult, Severity
from spec.errors import InputError
from spec.splits import SPLITS

INGESTION = "ColumnarExampleGen"


@dataclasses.dataclass(frozen=True)
class Finding:
    """A failed check.

    Attributes:
        gate: the node that found it.
        check: its name within the gate; of ingestion, which refuses a delivery as a whole, empty.
        severity: critical stops the run.
        message: what a person reads.
        evidence: the values or rows that show it.
    """

    gate: str
    check: str
    severity: Severity
    message: str
    evidence: str = ""

    @property
    def name(self) -> str:
        """Gate and check; the schema's gate checks each split by itself, which is one check here."""
        split, _, rest = self.check.partition("/")
        return f"{self.gate} {rest if split in SPLITS else self.check}".rstrip()


@dataclasses.dataclass(frozen=True)
class Site:
    """A workload's contracts, its data, and what a span before has left.

    Attributes:
        workload: the use case; its window is one span, so that each is judged by itself.
        schemas: folder of schema.pbtxt and expectations.json.
        data: the landing folder; `data.uri` of the workload points into it.
        work: for artifacts.
    """

    workload: Any
    schemas: pathlib.Path
    data: pathlib.Path
    work: pathlib.Path

    def check(self, span: int, baseline: pathlib.Path | None = None) -> tuple[list[Finding], pathlib.Path | None]:
        """Runs every data gate on a span.

        Args:
            span: the one that arrived.
            baseline: what the drift gate has left of the span before.

        Returns:
            what failed, and what the drift gate has left of this span (none where ingestion refused it).
        """
        from tfx.types import standard_artifacts

        from components.artifacts import DataDrift, DataQualityReport
        from components.data_quality import waivers
        from components.data_quality.contract import digest
        from components.data_quality.executor import DataQualityExecutor
        from components.drift.executor import Executor as DriftDetector
        from components.example_validator.executor import Executor as ExampleValidator
        from components.ingestion import sources
        from components.ingestion.executor import Executor as ColumnarExampleGen
        from components.statistics.executor import Executor as StatisticsGen

        folder = self.work / f"run-{len(list(self.work.iterdir()))}"
        folder.mkdir()
        made: dict[str, Any] = {}

        def artifact(kind: Any, role: str, uri: pathlib.Path | None = None) -> list[Any]:
            one = kind()
            one.uri = str(uri or folder / role)
            made[role] = one
            return [one]

        config = self.workload.ingestion(self.data).model_copy(update={"window": 1})
        schema = artifact(standard_artifacts.Schema, "schema", self._schema(folder))
        examples = artifact(standard_artifacts.Examples, "examples")
        context = _context(folder)
        try:
            window = sources.resolve_window(config.uri, span, 1)
            spans = json.dumps([{**dataclasses.asdict(one), "span": one.number} for one in window])
            properties = {"input_config": border.dump(config), "spans": spans, "span": span}
            ColumnarExampleGen(context).Do({"schema": schema}, {"examples": examples}, properties)
        except InputError as error:
            return [Finding(INGESTION, "", Severity.CRITICAL, str(error), str(error))], None
        inputs = {"examples": examples, "schema": schema}
        statistics = artifact(standard_artifacts.ExampleStatistics, "statistics")
        StatisticsGen(context).Do(inputs, {"statistics": statistics}, {})
        root = {"pipeline_root": str(folder)}
        suite_file = str(self.schemas / "expectations.json")
        suite = {
            "suite_file": suite_file,
            "suite_digest": digest(suite_file),
            "fail_on": self.workload.quality.fail_on,
            **dict.fromkeys(("keys", "code", "left_out"), "[]"),
            "waivers": waivers.digest(waivers.beside(suite_file)),
        }
        drift = {
            "allowed": border.dump(self.workload.quality.drift),
            "label": self.workload.data.label.column,
        }
        gates: Mapping[str, Any] = {
            "ExampleValidator": lambda: ExampleValidator(context).Do(
                {**inputs, "statistics": statistics},
                {"anomalies": artifact(standard_artifacts.ExampleAnomalies, "anomalies")},
                root,
            ),
            "DataQuality": lambda: DataQualityExecutor(context).Do(
                inputs, {"data_quality": artifact(DataQualityReport, "data_quality")}, {**root, **suite}
            ),
            "DriftDetector": lambda: DriftDetector(context).Do(
                inputs, {"drift": artifact(DataDrift, "drift")}, {**root, **drift, "baseline": str(baseline or "")}
            ),
        }
        found: list[Finding] = []
        with _in_this_process():
            for (gate, judge), role in zip(gates.items(), ("anomalies", "data_quality", "drift"), strict=True):
                with contextlib.suppress(GateFailed):
                    judge()
                result = GateResult.from_json((pathlib.Path(made[role].uri) / "gate.json").read_text(encoding="utf-8"))
                found += [
                    Finding(
                        gate,
                        one.name,
                        one.severity,
                        one.message,
                        json.dumps(one.diagnostics, default=str, ensure_ascii=False),
                    )
                    for one in result.failures()
                ]
        return found, pathlib.Path(made["drift"].uri)

    def _schema(self, folder: pathlib.Path) -> pathlib.Path:
        place = folder / "schema"
        place.mkdir()
        (place / "schema.pbtxt").write_bytes((self.schemas / "schema.pbtxt").read_bytes())
        return place


def _context(folder: pathlib.Path) -> Any:
    from tfx.dsl.components.base import base_beam_executor

    node = types.SimpleNamespace(node_info=types.SimpleNamespace(id="Node"))
    context = base_beam_executor.BaseBeamExecutor.Context(tmp_dir=str(folder / "tmp"), unique_id="1")
    context._pipeline_run_id, context._pipeline_node = "run", node
    return context


@contextlib.contextmanager
def _in_this_process() -> Iterator[None]:
    """Great Expectations' worker without its process."""
    from components.data_quality import executor, worker

    class Here:
        def ask(self, request: Mapping[str, Any]) -> Any:
            with contextlib.redirect_stderr(io.StringIO()):
                return worker.work(dict(request))

        def log(self) -> str:
            return ""

    with mock.patch.object(executor.prepared, "take", lambda module: contextlib.nullcontext(Here())):
        yield
